"""Draws one axis of `scaling.py` as SVG: speed (logarithmic) and peak memory over size.

Runs where matplotlib is: not in our environment.
"""

from __future__ import annotations

import json
import sys

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gridhelm", "font.size": 10})


def main() -> None:
    told = json.load(sys.stdin)
    sizes = [point["size"] for point in told["points"]]
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    for place, key, label in ((1, "steps_per_s", "steps of a site per CPU second"), (2, "peak_mb", "peak memory, MB")):
        axes = figure.add_subplot(1, 2, place)
        values = [point[key] for point in told["points"]]
        axes.plot(sizes, values, marker="o", color="#1f5fa8")
        axes.set(xscale="log", xlabel=told["axis"].replace("_", " "), ylabel=label)
        axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(0, 1.1 * max(values))
        if key == "steps_per_s":
            axes.set(yscale="log", ylim=(min(values) / 1.5, max(values) * 1.5))
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(told["file"], metadata={"Date": None})


if __name__ == "__main__":
    main()
