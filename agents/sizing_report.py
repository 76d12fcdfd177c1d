"""A plan of sizes, answered: the best designs as a table, all of them as a file, and the front as a drawing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agents.assemble import Policy
from agents.sizing import OBJECTIVES, Outcome, currency_of, sized, with_fronts
from agents.sizing_plan import SizingPlan, designs_of
from agents.terminal import progress_bar
from twin.site import Site
from twin.timegrid import TimeGrid

MOST_ROWS = 12
FIGURES = (
    *OBJECTIVES, "capital_cost_per_year", "kwh_per_gpu_h", "peak_import_kw", "missed_jobs", "unmet_steps",
)  # fmt: skip


def size_and_report(
    plan: SizingPlan, site: Site, site_path: Path, grid: TimeGrid, policy: Policy, *, processes: int, out: Path | None
) -> int:
    """Try every design, and print the front of each weather; with `out`, write all designs and a drawing there."""
    designs, outcomes = designs_of(plan, site), list[Outcome]()
    with progress_bar("sizing", len(designs)) as progress:
        for done, found in enumerate(sized(plan, designs, site_path, grid, policy, processes), start=1):
            outcomes += found
            progress(done, len(designs))
    outcomes, currency = with_fronts(outcomes), currency_of(designs[0])
    console = Console(highlight=False)
    for weather in plan.weather:
        console.print(_table([one for one in outcomes if one.weather == weather], weather, plan, currency))
    if out is not None:
        _write(outcomes, plan, out / "designs.csv")
        _draw(outcomes, currency, out)
        console.print(f"all {len(outcomes)} designs: {out / 'designs.csv'}; drawing: {out / 'front.svg'}")
    return 0 if outcomes else 1


def _table(outcomes: Sequence[Outcome], weather: str, plan: SizingPlan, currency: str) -> Table:
    best = sorted((one for one in outcomes if one.on_front), key=lambda one: one.cost_per_year)
    table = Table(title=_title(outcomes, best, weather), title_justify="left")
    for name in ("cooling", *plan.scale):
        table.add_column(name)
    for name in (f"M{currency}\na year", "of it\ncapital", "kt CO₂\na year", "PUE", "WUE\nL/kWh", "kWh per\nGPU-hour"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in best[:MOST_ROWS]:
        costs = f"{one.cost_per_year / 1e6:.2f}", f"{one.capital_cost_per_year / 1e6:.2f}"
        ratios = f"{one.pue:.3f}", f"{one.wue_l_per_kwh:.2f}", f"{one.kwh_per_gpu_h:.3f}"
        sizes = (f"{size:g}" for size in one.scale.values())
        table.add_row(one.cooling, *sizes, *costs, f"{one.carbon_t_per_year / 1e3:.2f}", *ratios)
    return table


def _title(outcomes: Sequence[Outcome], best: Sequence[Outcome], weather: str) -> str:
    lame = sum(not one.works for one in outcomes)
    left_out = f"; {lame} more break a limit or miss jobs, and are left out" if lame else ""
    cheapest = f", the {MOST_ROWS} cheapest shown" if len(best) > MOST_ROWS else ""
    return f"{weather}: {len(best)} of {len(outcomes) - lame} designs on the front{cheapest}{left_out}"


def _write(outcomes: Sequence[Outcome], plan: SizingPlan, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["weather", "cooling", *plan.scale, *FIGURES, "on_front"])
        for one in outcomes:
            figures = [f"{getattr(one, name):.6g}" for name in FIGURES]
            rows.writerow([one.weather, one.cooling, *one.scale.values(), *figures, int(one.on_front)])


def _draw(outcomes: Sequence[Outcome], currency: str, out: Path) -> None:
    """Cost against carbon, and PUE against WUE; a colour for each weather, a mark for each cooling."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gridhelm"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(12, 5), layout="constrained")
    weathers = list(dict.fromkeys(one.weather for one in outcomes))
    coolings = list(dict.fromkeys(one.cooling for one in outcomes))
    for one in outcomes:
        colour, mark = f"C{weathers.index(one.weather)}", "os^Dv<>P*X"[coolings.index(one.cooling) % 10]
        style = {"color": colour, "marker": mark, "alpha": 1.0 if one.on_front else 0.25, "linestyle": ""}
        panels[0].plot(one.cost_per_year / 1e6, one.carbon_t_per_year, **style)
        panels[1].plot(one.pue, one.wue_l_per_kwh, **style)
    panels[0].set(xlabel=f"million {currency} a year", ylabel="t CO₂ a year", title="cost and carbon")
    panels[1].set(xlabel="PUE", ylabel="WUE, L/kWh", title="energy and water of cooling")
    for place, weather in enumerate(weathers):
        panels[0].plot([], [], color=f"C{place}", marker="o", linestyle="", label=weather)
    for place, cooling in enumerate(coolings):
        panels[1].plot([], [], color="grey", marker="os^Dv<>P*X"[place % 10], linestyle="", label=cooling)
    for panel in panels:
        panel.legend(fontsize="small")
    figure.suptitle(
        "strong: on the front; faint: another is as good in all four and better in one, or it breaks a limit"
    )
    figure.savefig(out / "front.svg", metadata={"Date": None})
    pyplot.close(figure)
