"""The live view in a terminal: what flows, what is expected, what was decided and why, what is wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from rich.columns import Columns
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agents.alarms import AlarmLog
from agents.control import Cycle
from controllers.fallback import Rung
from controllers.resolve import NOBODY, Resolution
from twin.devices.base import Group
from twin.flexibility import Store
from twin.numeric import FloatArray, first
from twin.site import Site
from twin.state import AssetState, SiteState

BARS = "▁▂▃▄▅▆▇█"
FRAME = "grey50"
SEEN = {
    Rung.FULL: "all seen",
    Rung.PARTIAL: "part not seen",
    Rung.INFERRED: "import inferred",
    Rung.BLIND: "blind",
}


def spark(series: Sequence[float] | FloatArray, width: int = 36) -> str:
    """A series as a row of small bars, from 0 to its largest magnitude."""
    values = [abs(float(value)) for value in series]
    count = min(width, len(values))
    picked = [values[k * len(values) // count] for k in range(count)]
    top = max(picked, default=0.0)
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in picked) if top else BARS[0] * len(picked)


def power_words(asset: AssetState) -> Text:
    """A power as people speak of it: what it takes, or what it gives."""
    p_kw = first(asset.p_kw)
    if p_kw < -0.5:
        return Text(f"{-p_kw:,.0f} kW out", style="green")
    return Text(f"{p_kw:,.0f} kW", style="cyan" if p_kw > 0.5 else FRAME)


def setpoint_words(line: Resolution) -> str:
    """What a group is to do, as people say it."""
    value_kw = first(line.value_kw)
    if line.rule == NOBODY:
        return "off" if line.group is Group.GENSETS else "free"
    if line.group is not Group.STORAGE:
        return f"{'at most ' if line.group is not Group.GENSETS else ''}{value_kw:,.0f} kW"
    return f"{'discharge' if value_kw < 0 else 'charge'} {abs(value_kw):,.0f} kW"


def in_step(cycle: Cycle) -> str:
    """How well the twin and the meters agree: squared residuals against what noise alone would make of them."""
    network = cycle.state.network
    seen = SEEN[cycle.rung]
    return f"{seen}, χ² {network.chi_square:.0f} of {network.redundancy}" if network is not None else seen


class LiveView:
    """Keeps what one frame cannot hold: the latest alarms and how the import moved."""

    def __init__(self, site: Site, mode: str) -> None:
        self._site, self._mode = site, mode
        self._events: deque[tuple[datetime, str]] = deque(maxlen=8)
        self._imports: deque[float] = deque(maxlen=360)
        self._alarms = AlarmLog()

    def frame(self, cycle: Cycle) -> RenderableType:
        """The picture of one cycle."""
        self._remember(cycle)
        return Stack(
            self._headline(cycle),
            self._decided(cycle),
            self._alarm_panel(),
            Columns([self._powers(cycle.state), self._expected(cycle)], padding=(0, 1)),
        )

    def _remember(self, cycle: Cycle) -> None:
        if cycle.state.grid is not None:
            self._imports.append(first(cycle.state.grid.import_kw))
        at = cycle.now.astimezone(self._site.location.zone)
        self._events.extend((at, line) for line in self._alarms.changes(cycle))

    def _headline(self, cycle: Cycle) -> RenderableType:
        local = cycle.now.astimezone(self._site.location.zone)
        spent_ms = sum(cycle.timings_ms.values())
        text = Text.assemble(
            (f" gridhelm · {self._site.name} ", "bold reverse"),
            f"  {local:%a %d %b %Y %H:%M:%S %Z}  ·  {self._mode}  ·  {in_step(cycle)}  ·  cycle {spent_ms:.0f} ms",
        )
        grid = cycle.state.grid
        if grid is None:
            return text
        import_kw, limit_kw = first(grid.import_kw), grid.contracted_import_kw
        share = min(max(import_kw / limit_kw, 0.0), 1.0)
        style = "red" if share > 0.97 else "yellow" if share > 0.85 else "green"
        words = f"import {import_kw:,.0f} of {limit_kw:,.0f} kW" if import_kw >= 0 else f"export {-import_kw:,.0f} kW"
        price = f"{first(grid.price_per_kwh):.3f} per kWh · interval peak {first(grid.demand.peak_kw):,.0f} kW"
        bar = ProgressBar(total=1.0, completed=share, width=40, complete_style=style)
        row = Table.grid(padding=(0, 2))
        row.add_row(f" {words}", bar, price)
        return Stack(text, row)

    def _powers(self, state: SiteState) -> RenderableType:
        table = Table(title="Power", title_justify="left", border_style=FRAME, min_width=46)
        table.add_column("asset")
        table.add_column("now", justify="right")
        table.add_column("state")
        for name, asset in state.assets.items():
            table.add_row(name, power_words(asset), _state_words(asset))
        return table

    def _expected(self, cycle: Cycle) -> RenderableType:
        table = Table(title="Expected, next hours", title_justify="left", border_style=FRAME)
        for head in ("signal", "course", "peak", "by"):
            table.add_column(head)
        for name, signal in (cycle.forecast.signals if cycle.forecast else {}).items():
            mean = signal.mean if signal.mean.ndim == 1 else signal.mean[:, 0]
            table.add_row(name, spark(mean), f"{mean.max():,.0f} kW", signal.method)
        if self._imports:
            table.add_row("import so far", spark(list(self._imports)), f"{max(self._imports):,.0f} kW", "meter")
        return table

    def _decided(self, cycle: Cycle) -> RenderableType:
        table = Table(title="Decided, and why", title_justify="left", border_style=FRAME, expand=True)
        table.add_column("group")
        table.add_column("setpoint", justify="right")
        table.add_column("rule")
        table.add_column("because", ratio=1)
        for line in cycle.decision.resolutions:
            table.add_row(line.group.value, setpoint_words(line), line.rule, str(line.reason))
        for clip in cycle.guarded.clips:
            table.add_row("guard", clip.device, Text("clipped", style="red"), str(clip.reason))
        return table

    def _alarm_panel(self) -> RenderableType:
        lines = [f"{at:%H:%M:%S}  {line}" for at, line in reversed(self._events)] or ["all is well"]
        return Panel("\n".join(lines), title="Alarms and recoveries", title_align="left", border_style=FRAME)


def _state_words(asset: AssetState) -> Text:
    if not asset.reliable:
        return Text(asset.reason, style="red")
    if isinstance(asset.flexibility, Store):
        soc = first(asset.flexibility.soc)
        full = round(soc * 12)
        return Text(f"{'█' * full}{'·' * (12 - full)} {soc:.0%}", style="green" if soc > 0.25 else "yellow")
    if "supply_c" in asset.values:
        return Text(f"supply {first(asset.values['supply_c']):.1f} °C", style=FRAME)
    if "backlog_gpu_h" in asset.values:
        return Text(
            f"wants {first(asset.values['demand_kw']):,.0f} kW, {first(asset.values['backlog_gpu_h']):,.0f} GPU-h wait",
            style=FRAME,
        )
    return Text("")
