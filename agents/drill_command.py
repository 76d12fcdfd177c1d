"""`gridhelm drill` on the command line."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape


def drill(
    site_path: Annotated[Path, typer.Argument(help="Site file, for example site_configs/edge.yaml.")],
    link: Annotated[str | None, typer.Option(help="Only this link; `broker` for all that comes over MQTT.")] = None,
    fault: Annotated[str | None, typer.Option(help="Only this fault.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1.0, help="How long a fault may go unnoticed.")] = None,
    emulated: Annotated[bool, typer.Option("--emulated", help="Start the emulator, and drill that.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Command the plant meanwhile; without, nothing is written.")] = (
        False
    ),
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the results to this file too.")] = None,
) -> None:
    """Commissioning: break each link in every way, and see that the controller notices, contains it and recovers."""
    from agents.assemble import load
    from agents.drill import Verdict
    from agents.drill_proxies import not_drilled
    from agents.drill_run import as_json, run_drill, table_of
    from agents.probe_command import wide

    # What garbled frames do to the library underneath is reported as the result of the drill.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loaded, verdicts = load(site_path), list[Verdict]()
    told = Console(stderr=True, highlight=False, soft_wrap=True)
    for reason in not_drilled(loaded.site.telemetry.links):
        told.print(f"[yellow]{escape(reason)}[/]")
    with told.status("connecting") as status:
        run = run_drill(
            loaded, site_path, link=link, fault=fault, most_s=seconds, emulated=emulated, live=live, tell=status.update
        )
        verdicts += run
    wide(Console(highlight=False)).print(table_of(verdicts))
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(as_json(verdicts), indent=2) + "\n", encoding="utf-8")
    failed = sum(not verdict.passed for verdict in verdicts)
    told.print(f"{len(verdicts)} faults, {failed} failed")
    raise typer.Exit(1 if failed or not verdicts else 0)
