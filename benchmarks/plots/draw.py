"""Draws one axis of `scaling.py` as SVG: speed and peak memory over size. Runs where matplotlib is, not in ours."""

from __future__ import annotations

import json
import sys

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gridhelm", "font.size": 10})


def main() -> None:
    told = json.load(sys.stdin)
    sizes = [point["size"] for point in told["points"]]
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    for place, key, label in ((1, "steps_per_s", "steps of a site per second"), (2, "peak_mb", "peak memory, MB")):
        axes = figure.add_subplot(1, 2, place)
        axes.plot(sizes, [point[key] for point in told["points"]], marker="o", color="#1f5fa8")
        axes.set(xscale="log", yscale="log", xlabel=told["axis"], ylabel=label)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(told["file"], metadata={"Date": None})


if __name__ == "__main__":
    main()
