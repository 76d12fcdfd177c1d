"""What a DCGM exporter shows, and a draft of the link that a site file needs for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from twin.errors import LinkError
from twin.telemetry.dcgm_text import Gpu, UnusableTextError, read_metrics
from twin.telemetry.http_address import checked_address, short_name
from twin.telemetry.http_exchange import Answer, ask, http_client, trusted

SCHEME = "dcgm://"
USUAL_PATH = "/metrics"
FIGURES = ("power_w", "energy_kwh", "utilisation", "sm_clock_hz")


def probe(url: str, *, ca_file: str | None = None, timeout_s: float = 5) -> str:
    """Scrape one exporter once, and say which GPUs are there.

    `url` is ``dcgm://host[:port]``, which stands for ``http://host[:port]/metrics``, or an address as in a site file.
    Raises `LinkError` with the reason when it cannot be asked, or shows no metrics.
    """
    address = f"http://{url.removeprefix(SCHEME).rstrip('/')}" if url.startswith(SCHEME) else url
    if url.startswith(SCHEME) and "/" not in address.removeprefix("http://"):
        address += USUAL_PATH
    try:
        checked_address(address, "the exporter", secret=False, path=True)
    except ValueError as error:
        raise LinkError(f"{url}: expected {error}") from None
    context = trusted(ca_file, Path.cwd() / "site.yaml", "command line")

    async def scrape() -> Answer:
        async with http_client(context) as client:
            return await ask(client, "GET", address, timeout_s=timeout_s)

    try:
        answer = asyncio.run(scrape())
        if answer.status != 200:
            raise LinkError(f"answers with status {answer.status}")
        gpus = read_metrics(answer.body.decode("utf-8", errors="replace"), short_name(address))
    except (LinkError, UnusableTextError) as error:
        raise LinkError(f"DCGM {address}: {error}") from None
    return "\n".join([f"DCGM {address}: {len(gpus)} GPUs", *_in_words(gpus), "", *_draft(address, gpus)])


def _in_words(gpus: Mapping[str, Gpu]) -> Iterator[str]:
    for gpu in gpus.values():
        absent = [name for name in FIGURES if getattr(gpu, name) is None]
        power = "no power" if gpu.power_w is None else f"{gpu.power_w:g} W"
        lacks = f"; without {', '.join(absent)}" if absent else ""
        yield f"  {gpu.name}: {power}{lacks}"


def _draft(address: str, gpus: Mapping[str, Gpu]) -> Iterator[str]:
    yield "For the site file, under telemetry.links (one link for all exporters of a hall):"
    yield (
        f"  gpus: {{protocol: dcgm, device: HALL, exporters: ['{address}'], gpu_count: {max(1, len(gpus))}, "
        "host_w_per_gpu: WATTS, points: [p_kw, gpu_kw, gpu_utilisation, sm_clock_hz]}"
    )
    yield "  # gpu_count: of all exporters together. host_w_per_gpu: what a node draws beside its GPUs, by each GPU."
