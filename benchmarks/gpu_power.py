"""Power of GPUs and GPU servers against measurements: Zeus (power limits), Cornell BioHPC (hours), Acme (clusters).

    .venv/bin/python benchmarks/gpu_power.py

Batch: the published fits, as the twin evaluates them, against the formula written out. Zeus: time per epoch and mean
power of V100 and A40 under limits, from time and power without one; the curve is fitted to some configurations
and scored on the others, once with a whole network left out at a time, once with every fourth batch size. BioHPC:
hourly power from utilisation, fitted to the first half of the record and scored on the second, and fitted again every
30 days to the 90 before. Acme: published distributions of GPU power through our node, against that of server power.
Prints Markdown tables; ends with 1 where a median error on held-back configurations of Zeus is above 5%.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from measured_data import measured
from scipy.optimize import brentq, least_squares

from twin.devices.gpu_models import BATCH_FITS, GPU_MODELS, CapCurve
from twin.devices.gpu_power import batch_w, capped_w, speed_fraction, utilised_w
from twin.devices.server_power import Node
from twin.numeric import FloatArray

LIMIT = 0.05
ABSOLUTE = {"loss": "soft_l1", "f_scale": 0.01}
"""Fits weigh errors by their size, as the median by which they are judged does."""
BUSY_FRACTION = 0.05
HOST_IDLE_W, HOST_SWING_W = 444.0, 380.0
"""Of a node's host: at rest, and from there to load."""
HOURS_90_DAYS, HOURS_30_DAYS = 2160, 720
rng = np.random.default_rng(1)


def table(title: str, head: str, rows: list[str]) -> None:
    columns = head.split("|")
    print(f"\n{title}\n\n|{head}|\n|{'|'.join('---' for _ in columns)}|")
    print("\n".join(f"|{row}|" for row in rows))


def batches() -> None:
    rows = []
    for name, fit in BATCH_FITS.items():
        at = np.array([1.0, 8, 64, 512, 2.0**30])
        logistic = 1 + np.exp(-fit.slope_factor * (np.log2(at) - fit.middle_factor))
        ours, written = np.asarray(batch_w(at, fit)), fit.floor_w + fit.range_w / logistic
        rises = bool(np.all(np.diff(np.asarray(batch_w(2.0 ** np.linspace(0, 12, 200), fit))) > 0))
        values = "|".join(f"{value:.0f}" for value in ours)
        rows.append(f"{name}|{values}|{np.abs(ours - written).max():.0e} W|{rises}")
    table("Power (W) by batch", "fit|1|8|64|512|without end|difference|rises", rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zeus:
    """Measurements under limits, each with what the same configuration does without."""

    gpu: str
    frame: pd.DataFrame

    @property
    def tdp_w(self) -> float:
        return GPU_MODELS[self.gpu].tdp_w

    def predicted(self, frame: pd.DataFrame, curve: CapCurve) -> tuple[FloatArray, FloatArray]:
        """Time, of that without a limit, and mean power."""
        limit_w, wanted_w = frame["power_limit"].to_numpy(float), frame["free_w"].to_numpy(float)
        slower = 1.0 / np.asarray(speed_fraction(limit_w, wanted_w, self.tdp_w, curve))
        return slower, np.asarray(capped_w(limit_w, wanted_w, self.tdp_w, curve))

    def fit(self, frame: pd.DataFrame) -> CapCurve:
        def residuals(parameters: FloatArray) -> FloatArray:
            slower, power_w = self.predicted(frame, curve_of(parameters))
            return np.log(np.concatenate([slower / frame["slower"], power_w / frame["average_power"]]))

        low, high = [0.05, 1.0, 0.0, 0.3, 1.0], [0.38, 6.0, 1.0, 0.95, 20.0]
        starts = ([0.2, 2.5, 0.8, 0.6, 4.0], [0.3, 4.0, 0.9, 0.9, 4.0], [0.25, 1.5, 0.5, 0.5, 4.0])
        tried = [least_squares(residuals, start, bounds=(low, high), **ABSOLUTE) for start in starts]
        return curve_of(min(tried, key=lambda result: float(result.cost)).x)


def curve_of(parameters: FloatArray) -> CapCurve:
    static, steepness, knee_bound, knee, sharpness = map(float, parameters)
    return CapCurve(
        static_fraction=static,
        steepness_factor=steepness,
        bound_fraction=knee_bound,
        knee_fraction=knee,
        sharpness_factor=sharpness,
    )


def zeus(gpu: str, file: str) -> Zeus:
    frame = pd.read_csv(measured(f"gpu_power/{file}"))
    configuration = ["dataset", "network", "optimizer", "batch_size"]
    top = frame["power_limit"].max()
    free = frame[frame["power_limit"] == top].set_index(configuration)[["time_per_epoch", "average_power"]]
    frame = frame.join(free.rename(columns={"time_per_epoch": "free_s", "average_power": "free_w"}), on=configuration)
    frame["slower"] = frame["time_per_epoch"] / frame["free_s"]
    return Zeus(gpu=gpu, frame=frame[frame["power_limit"] < top].reset_index(drop=True))


def every_fourth_batch(frame: pd.DataFrame) -> pd.Series[Any]:
    return frame["batch_size"].rank(method="dense").astype(int) % 4


def held_back(data: Zeus, group: pd.Series[Any]) -> pd.DataFrame:
    """Relative errors of every configuration, by a curve that was fitted without its group."""
    parts = []
    for name in sorted(group.unique()):
        frame = data.frame[group == name]
        slower, power_w = data.predicted(frame, data.fit(data.frame[group != name]))
        time_error, power_error = slower / frame["slower"] - 1, power_w / frame["average_power"] - 1
        energy_error = (1 + time_error) * (1 + power_error) - 1
        errors = pd.DataFrame({"time": time_error, "power": power_error, "energy": energy_error}).abs()
        parts.append(
            errors.assign(binds=frame["power_limit"] < frame["free_w"], nothing=(1 / frame["slower"] - 1).abs())
        )
    return pd.concat(parts)


def limits() -> bool:
    rows, worst = [], 0.0
    for data in (zeus("V100_PCIE", "zeus_summary_power_v100.csv"), zeus("A40", "zeus_summary_power_a40.csv")):
        for how, group in (("network", data.frame["network"]), ("batch size", every_fourth_batch(data.frame))):
            errors = held_back(data, group)
            for which, part in (("all", errors), ("limit below wanted power", errors[errors["binds"]])):
                median = part[["time", "power", "energy", "nothing"]].median()
                ninth = part["time"].quantile(0.9)
                values = "|".join(f"{100 * value:.1f}" for value in (*median, ninth))
                rows.append(f"{data.gpu}|{how}|{which}|{len(part)}|{values}")
                worst = max(worst, float(median[:3].max())) if which == "all" else worst
        fresh, kept = data.fit(data.frame), GPU_MODELS[data.gpu].curve
        both = zip(data.predicted(data.frame, fresh), data.predicted(data.frame, kept), strict=True)
        apart = max(float(np.abs(one / other - 1).max()) for one, other in both)
        print(f"\n{data.gpu} on all configurations: {fresh}; the twin's own is within {100 * apart:.1f}% of it")
    head = "GPU|held back|points|number|time, median %|power|energy|time, as if no limit|time, 90th percentile"
    table("Zeus: errors on what the fit did not see", head, rows)
    return worst <= LIMIT


Model = Callable[[FloatArray, pd.DataFrame], FloatArray]


def by_utilisation(x: FloatArray, hours: pd.DataFrame) -> FloatArray:
    utilisation = hours["utilave"].to_numpy() / 100
    return np.asarray(utilised_w(utilisation, idle_w=x[0], awake_w=x[1], busy_w=x[2]))


def by_temperature_too(x: FloatArray, hours: pd.DataFrame) -> FloatArray:
    """Where kernels run: hotter chips are those that work harder, so this is a thermometer more than a cause."""
    return by_utilisation(x, hours) + x[3] * (hours["tempave"] - 50.0).to_numpy() * hours["utilave"].to_numpy() / 100


def fitted(model: Model, hours: pd.DataFrame, start: list[float]) -> FloatArray:
    measured_w = hours["powerave"].to_numpy()

    def residuals(x: FloatArray) -> FloatArray:
        return np.log(np.maximum(model(x, hours), 1.0) / measured_w)

    return np.asarray(least_squares(residuals, start, **ABSOLUTE).x)


def scored(model: Model, x: FloatArray, hours: pd.DataFrame) -> FloatArray:
    return np.abs(model(x, hours) / hours["powerave"].to_numpy() - 1)


def walked(model: Model, hours: pd.DataFrame, start: list[float]) -> FloatArray:
    """Errors over the second half, each 30 days by a fit to the 90 days of records before."""
    half = len(hours) // 2
    firsts = range(half, len(hours), HOURS_30_DAYS)
    parts = [hours.iloc[first : first + HOURS_30_DAYS] for first in firsts]
    before = [hours.iloc[max(first - HOURS_90_DAYS, 0) : first] for first in firsts]
    return np.concatenate(
        [scored(model, fitted(model, old, start), part) for old, part in zip(before, parts, strict=True)]
    )


def hours_of(file: str) -> pd.DataFrame:
    return pd.read_parquet(measured(f"gpu_power/{file}"))


def utilisation() -> None:
    rows = []
    machines = (
        ("2 H100 PCIe", "biohpc_cbsugpu08_2xH100_hourly.parquet"),
        ("2 A40", "biohpc_cbsugpu05_2xA40_hourly.parquet"),
    )
    for name, file in machines:
        hours = hours_of(file)
        half = len(hours) // 2
        first, second = hours.iloc[:half], hours.iloc[half:]
        begin, middle, end = (hours["time_local"].iloc[place][:16] for place in (0, half - 1, -1))
        print(f"\n{name}: fitted to the hours from {begin} to {middle}, scored on those to {end}")
        print_idle(first[first["utilmax"] == 0])
        rest = second["utilave"] == 0
        busy = second["utilave"] >= 100 * BUSY_FRACTION
        for label, model, start in (
            ("utilisation", by_utilisation, [40.0, 70.0, 300.0]),
            ("and chip temperature", by_temperature_too, [40.0, 70.0, 300.0, 1.0]),
        ):
            x = fitted(model, first, start)
            for how, errors in (("once", scored(model, x, second)), ("every 30 days", walked(model, hours, start))):
                medians = (
                    np.median(errors),
                    *(np.median(errors[part.to_numpy()]) for part in (rest, ~rest & ~busy, busy)),
                )
                values = "|".join(f"{100 * value:.1f}" for value in medians)
                levels = ", ".join(f"{value:.0f}" for value in x[:3]) if how == "once" else "–"
                rows.append(f"{name}|{label}|{how}|{levels}|{values}")
    head = "machine|from|fitted|idle, awake, busy W|all hours, median %|at rest|to 5% busy|busier"
    table("BioHPC: errors of hourly power on the second half", head, rows)


def print_idle(hours: pd.DataFrame) -> None:
    """Power at rest, and its slope over chip temperature; hours with a process on a GPU left out."""
    idle = hours[hours["powermax"] < 1.2 * hours["powerave"].median()]
    median_w = idle["powerave"].median()
    slope = np.polyfit(idle["tempave"], idle["powerave"], 1)[0]
    print(f"At rest ({len(idle)} hours): {median_w:.1f} W, {slope:.2f} W/K, {100 * slope / median_w:.2f} %/K")


def server_samples(gpu_w: FloatArray, alike: int, host_idle_w: float) -> FloatArray:
    """Server power of nodes of eight A100 with GPU powers drawn from `gpu_w`, `alike` neighbours the same.

    A GPU is at work where it draws more than between idle and awake: 35% of the samples are below that, and
    as many have no utilisation.
    """
    model = GPU_MODELS["A100_SXM"]
    drawn = np.repeat(rng.choice(gpu_w, (20_000, 8 // alike)), alike, axis=1)
    busy = (drawn > (model.idle_w + model.awake_w) / 2).mean(axis=1)
    return np.asarray(a100_node(host_idle_w).power(drawn.sum(axis=1), busy).drawn_w)


def a100_node(host_idle_w: float) -> Node:
    tdp_w = GPU_MODELS["A100_SXM"].tdp_w
    return Node(gpu_count=8, gpu_tdp_w=tdp_w, host_idle_w=host_idle_w, host_active_w=host_idle_w + HOST_SWING_W)


def host_by_idle(gpu_w: FloatArray, servers_w: FloatArray) -> float:
    """Host at rest that makes a node at the 10th percentile of GPU power draw the 10th percentile of server power."""
    at_rest_w, wanted_w = 8 * float(np.quantile(gpu_w, 0.1)), float(np.quantile(servers_w, 0.1))

    def missing_w(host_w: float) -> float:
        return wanted_w - float(a100_node(host_w).power(at_rest_w, 0.0).drawn_w)

    return float(brentq(missing_w, 100.0, 2000.0))


def kolmogorov(one: FloatArray, other: FloatArray) -> float:
    """Largest difference between two distributions, each given by its samples or by even quantiles."""
    at = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def quantiles(sample: FloatArray) -> Iterator[float]:
    yield from (float(np.quantile(sample, share)) for share in (0.1, 0.5, 0.9, 1.0))


def clusters() -> None:
    gpu_w = pd.read_csv(measured("gpu_power/acme_cdf_gpu_power_seren.csv"))["gpu_power_W"].to_numpy()
    servers_w = pd.read_csv(measured("gpu_power/acme_cdf_server_power.csv"))["gpu_server_power_W"].to_numpy()
    rows = [server_row("measured", servers_w, servers_w)]
    fitted_w = host_by_idle(gpu_w, servers_w)
    for label, host_w in (("", HOST_IDLE_W), (f", host {fitted_w:.0f} W by the 10th percentile", fitted_w)):
        ours = {alike: server_samples(gpu_w, alike, host_w) for alike in (1, 2, 4, 8)}
        rows += [server_row(f"ours, {alike} GPUs alike{label}", ours[alike], servers_w) for alike in ours]
    table("Acme: server power (W) from GPU power", "|10%|median|90%|largest|mean|Kolmogorov distance", rows)
    model = GPU_MODELS["A100_SXM"]
    active = pd.read_csv(measured("gpu_power/acme_cdf_util_gpu_seren.csv"))
    busy_w = model.training_fraction * model.tdp_w
    rows = [gpu_row("measured", gpu_w, gpu_w)]
    for label, column in (("utilisation", "gpu_util_pct"), ("active multiprocessors", "sm_active_pct")):
        share = active[column].to_numpy() / 100
        ours_w = np.asarray(utilised_w(share, idle_w=model.idle_w, awake_w=model.awake_w, busy_w=busy_w))
        rows.append(gpu_row(f"ours, from {label}", ours_w, gpu_w))
    table(
        "Acme: GPU power (W) from measured activity",
        "|up to 70 W, %|above 400 W, %|median|mean|Kolmogorov distance",
        rows,
    )


def server_row(name: str, ours_w: FloatArray, measured_w: FloatArray) -> str:
    values = "|".join(f"{value:.0f}" for value in (*quantiles(ours_w), float(ours_w.mean())))
    return f"{name}|{values}|{kolmogorov(ours_w, measured_w):.3f}"


def gpu_row(name: str, ours_w: FloatArray, measured_w: FloatArray) -> str:
    shares = f"{100 * np.mean(ours_w <= 70):.0f}|{100 * np.mean(ours_w > 400):.0f}"
    return f"{name}|{shares}|{np.median(ours_w):.0f}|{ours_w.mean():.0f}|{kolmogorov(ours_w, measured_w):.3f}"


def published_nodes() -> None:
    """Whole nodes and racks whose power is published."""
    training = GPU_MODELS["H100_SXM"]
    dgx = Node(gpu_count=8, gpu_tdp_w=training.tdp_w)
    heavy_w = 0.76 * 10_200
    busy_w = float(dgx.power(8 * training.training_fraction * training.tdp_w, 1.0).drawn_w)
    rack = Node(gpu_count=4, gpu_tdp_w=GPU_MODELS["GB200"].tdp_w, fan_share=0.02)
    full_w = 18 * float(rack.power(4 * GPU_MODELS["GB200"].tdp_w, 1.0).drawn_w)
    rows = [
        f"8 H100 in heavy training|{busy_w:.0f}|{heavy_w:.0f} (arXiv 2506.14551)|{100 * (busy_w / heavy_w - 1):+.1f}%",
        f"GB200 NVL72, GPUs at their rating|{full_w:.0f}|about 120000|{100 * (full_w / 120_000 - 1):+.1f}%",
    ]
    table("Nodes (W)", "|ours|published|difference", rows)


if __name__ == "__main__":
    batches()
    kept = limits()
    utilisation()
    clusters()
    published_nodes()
    sys.exit(0 if kept else 1)
