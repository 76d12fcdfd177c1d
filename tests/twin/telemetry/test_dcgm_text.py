"""The text of DCGM exporters, as NVIDIA publishes it and as it arrives on bad days."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.telemetry.dcgm_text import Gpu, UnusableTextError, read_metrics

UUID = "GPU-34319582-d595-d1c7-d1d2-179bcfa61660"
LABELS = f'gpu="0",UUID="{UUID}",device="nvidia0",Hostname="ub20-a100-k8s"'
# From NVIDIA's documentation of dcgm-exporter (GPU telemetry, an A100 in Kubernetes), with the heads that it writes.
PUBLISHED = f"""# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).
# TYPE DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_SM_CLOCK{{{LABELS}}} 1215
DCGM_FI_DEV_MEM_CLOCK{{{LABELS}}} 1215
DCGM_FI_DEV_MEMORY_TEMP{{{LABELS}}} 69
DCGM_FI_DEV_GPU_TEMP{{{LABELS}}} 61
# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{{{LABELS}}} 409.692000
# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Total energy consumption since boot (in mJ).
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{LABELS}}} 319159391
DCGM_FI_DEV_PCIE_REPLAY_COUNTER{{{LABELS}}} 0
DCGM_FI_DEV_GPU_UTIL{{{LABELS}}} 99
"""
# From the README of NVIDIA/dcgm-exporter: what a GPU has no sensor for.
BLANK = "9223372036854775794"


def only(text: str) -> Gpu:
    (gpu,) = read_metrics(text, "node-7:9400").values()
    return gpu


def test_the_published_example_is_read_in_our_units() -> None:
    gpu = only(PUBLISHED)
    assert gpu.name == f"ub20-a100-k8s GPU 0 ({UUID})"
    assert gpu.power_w == 409.692
    assert gpu.energy_kwh == pytest.approx(319.159391 / 3600)
    assert (gpu.utilisation, gpu.sm_clock_hz, gpu.stamp_s) == (0.99, 1.215e9, None)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", BLANK, "2147483632", "140737488355328"])
def test_what_is_no_number_of_watts_is_no_value(value: str) -> None:
    assert only(PUBLISHED.replace("409.692000", value)).power_w is None


@pytest.mark.parametrize("value", ["NaN", BLANK, "140737488355329"])
def test_a_blank_energy_is_no_value(value: str) -> None:
    assert only(PUBLISHED.replace("319159391", value)).energy_kwh is None


def test_a_gpu_that_is_shared_or_divided_counts_once() -> None:
    lines = "".join(
        f'DCGM_FI_DEV_POWER_USAGE{{gpu="0",UUID="{UUID}",GPU_I_ID="{part}",pod="job-{part}"}} 300\n'
        for part in range(7)
    )
    assert only(lines).power_w == 300


def test_gpus_without_uuid_are_known_by_host_and_number() -> None:
    text = 'DCGM_FI_DEV_POWER_USAGE{gpu="0"} 100\nDCGM_FI_DEV_POWER_USAGE{gpu="1", Hostname="b"} 200\n'
    found = read_metrics(text, "node-7:9400")
    assert [(gpu.name, gpu.power_w) for gpu in found.values()] == [("node-7:9400 GPU 0", 100), ("b GPU 1", 200)]


def test_the_stamp_of_a_federating_server_is_kept() -> None:
    assert only('DCGM_FI_DEV_POWER_USAGE{gpu="0"} 100 1780315200500\n').stamp_s == 1780315200.5


def test_an_exporter_without_gpus_is_no_mistake() -> None:
    assert read_metrics("", "a") == {}
    assert read_metrics("# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).\n", "a") == {}


@pytest.mark.parametrize("text", ["<html>login</html>", '{"a": 1}', 'DCGM_FI_DEV_POWER_USAGE{gpu="0} x'])
def test_what_is_no_metrics_is_told(text: str) -> None:
    with pytest.raises(UnusableTextError, match="not "):
        read_metrics(text, "a")


@given(
    cut=st.integers(0, len(PUBLISHED)),
    garbage=st.sampled_from(("", "{", '"', "\\", "\n", "}} 1 2 3", " 1e999", "\x00", "DCGM_FI_DEV_POWER_USAGE{")),
    at=st.integers(0, len(PUBLISHED)),
)
def test_a_text_that_is_cut_or_garbled_is_read_or_refused(cut: int, garbage: str, at: int) -> None:
    text = PUBLISHED[:at] + garbage + PUBLISHED[at:]
    try:
        found = read_metrics(text[:cut], "a")
    except UnusableTextError:
        return
    for gpu in found.values():
        assert gpu.power_w is None or 0 <= gpu.power_w < 2**31
