"""What needs a GPU, without one: event clocks, NVML and captured graphs, each with a stand-in for the device."""

import ctypes
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType

from archcalc import load
from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.errors import MissingError
from archcalc.pytorch.bench.devices import CYCLES_PER_REPLAY, LEAD_IN, CudaClock, need
from archcalc.pytorch.bench.execution import BEFORE_CAPTURE, captured
from archcalc.pytorch.bench.layers import BACKWARD, SEGMENT, STEP, seen_of, steps_of
from archcalc.pytorch.bench.marks import EMPTY_PAIRS, marked
from archcalc.pytorch.bench.nvml import THROTTLING, watch
from archcalc.pytorch.bench.precision import dtype_of, needs_scaler, switched
from archcalc.pytorch.bench.segments import segments
from archcalc.pytorch.bench.workload import Workload


class FakeCuda:
    """A GPU whose time passes only by work: an event reads it when it is recorded. Captured work runs again at each replay."""

    def __init__(self, event_seconds: float = 0.0):
        self.time = 0.0
        self.event_seconds = event_seconds
        self.calls: list[str] = []
        self.capturing: list[Callable[[], None]] | None = None

    def work(self, seconds: float) -> None:
        """Do something that takes so long, now and, captured, whenever it is replayed."""
        self.do(lambda: setattr(self, "time", self.time + seconds))

    def do(self, act: Callable[[], None]) -> None:
        if self.capturing is None:
            act()
        else:
            self.capturing.append(act)

    def Event(self, enable_timing: bool = False, external: bool = False) -> "FakeEvent":
        assert enable_timing
        return FakeEvent(self, external)

    def Stream(self) -> SimpleNamespace:
        return SimpleNamespace(wait_stream=lambda other: self.calls.append("side waits"))

    def current_stream(self) -> SimpleNamespace:
        return SimpleNamespace(wait_stream=lambda other: self.calls.append("main waits"))

    @contextmanager
    def stream(self, side: object):
        self.calls.append("on the side")
        yield

    def CUDAGraph(self) -> SimpleNamespace:
        graph = SimpleNamespace(acts=[])

        def replay() -> None:
            self.calls.append("replay")
            for act in graph.acts:
                act()

        graph.replay = replay
        return graph

    @contextmanager
    def graph(self, graph: SimpleNamespace):
        self.capturing = graph.acts
        yield
        self.capturing = None

    def _sleep(self, cycles: int) -> None:
        self.calls.append(f"sleep {cycles}")

    def synchronize(self) -> None:
        self.calls.append("synchronize")


class FakeEvent:
    """Reads the clock when it is recorded, which costs the GPU a little; captured it must be external."""

    def __init__(self, cuda: FakeCuda, external: bool):
        self.cuda, self.external = cuda, external
        self.at: float | None = None

    def record(self) -> None:
        assert self.cuda.capturing is None or self.external, "an internal event in a captured graph cannot be read"
        self.cuda.do(self._read)

    def _read(self) -> None:
        self.cuda.time += self.cuda.event_seconds
        self.at = self.cuda.time

    def elapsed_time(self, other: "FakeEvent") -> float:
        return (other.at - self.at) * 1000  # milliseconds, as CUDA's are


def test_events_time_each_step_from_the_end_of_the_one_before() -> None:
    cuda = FakeCuda()
    seconds = iter([9.0, 9.0, 0.1, 0.2, 0.3])
    found = CudaClock(lambda: cuda.work(next(seconds)), False, lambda: cuda.calls.append("watch"), cuda).burst(3)
    assert found == pytest.approx([0.1, 0.2, 0.3])  # the lead-in of two is in none of them
    assert cuda.calls == ["watch", "synchronize"]  # looked at while at work, and waited for once


def test_replays_stand_in_line_behind_a_kernel_that_waits() -> None:
    cuda = FakeCuda()
    clock = CudaClock(lambda: cuda.work(0.5), True, cuda=cuda)
    assert clock.burst(4) == pytest.approx([0.5] * 4)
    assert cuda.calls == [f"sleep {CYCLES_PER_REPLAY * (4 + LEAD_IN)}", "synchronize"]
    assert clock.burst(2) == pytest.approx([0.5] * 2)


def test_capture_warms_up_on_a_stream_of_its_own() -> None:
    cuda = FakeCuda()
    runs = [0]

    def step() -> None:
        runs[0] += 1
        cuda.work(1.0)

    replay = captured(step, cuda)
    assert (runs[0], cuda.time) == (BEFORE_CAPTURE + 1, float(BEFORE_CAPTURE))  # the captured one did not run
    assert cuda.calls == ["side waits", "on the side", "main waits"]
    replay()
    replay()
    assert (runs[0], cuda.time) == (BEFORE_CAPTURE + 1, float(BEFORE_CAPTURE) + 2)


def case(model: str = "lenet5", mode: str = "infer", device: str = "cpu", **changed: object) -> Case:
    settings = {"batch": 1, "dtype": "fp32", "layout": "nchw", "exec": "eager"} | changed
    return Case(Configuration(model=model, mode=mode, device=device, **settings), load(model))


def test_events_in_a_captured_graph_time_the_layers() -> None:
    """Each module takes as many seconds as its place; an event costs half a second, which is found and taken off."""
    cuda = FakeCuda(event_seconds=0.5)
    workload = Workload(case(), torch.device("cpu"))
    wanted = segments(workload.graph, training=False)
    paths = [segment.module for segment in wanted if segment.module]
    for place, path in enumerate(paths, 1):
        workload.network.get_submodule(path).register_forward_hook(lambda *_, place=place: cuda.work(place))
    found = marked(workload, wanted, 3, cuda)
    assert found.event_seconds == pytest.approx(0.5)
    assert [seconds for seconds, segment in zip(found.seconds, wanted, strict=True) if segment.module] == pytest.approx(
        list(range(1, len(paths) + 1))
    )
    assert sum(seconds for seconds, segment in zip(found.seconds, wanted, strict=True) if not segment.module) == pytest.approx(0)
    assert cuda.calls.count("replay") == 4
    assert EMPTY_PAIRS > 0


def event(name: str, start: float, end: float, *children: SimpleNamespace, thread: int = 1, gpu: float = 0.0) -> SimpleNamespace:
    """A profiler's event, as far as it is asked."""
    found = SimpleNamespace(
        name=name, time_range=SimpleNamespace(start=start, end=end, elapsed_us=lambda: end - start), cpu_children=list(children),
        cpu_parent=None, thread=thread, device_type=DeviceType.CPU, sequence_nr=-1,
        device_time_total=gpu + sum(child.device_time_total for child in children),
    )  # fmt: skip
    for child in children:
        child.cpu_parent = found
    return found


def test_backward_on_a_thread_of_its_own_belongs_to_its_step() -> None:
    """On a GPU: two steps, each with a shadow on the device, and backward where the profiler does not nest it."""
    events = []
    for start in (0.0, 100.0):
        forward = event(f"{SEGMENT}1", start + 1, start + 9, event("aten::conv2d", start + 2, start + 8, gpu=5.0))
        forward.device_time_total += 50.0  # the shadow of the range, taken for a kernel
        optimizer = event("Optimizer.step#SGD.step", start + 60, start + 70, gpu=2.0)
        shadow = event(STEP, start + 5, start + 95)
        shadow.device_type = DeviceType.CUDA
        backward = event(f"{BACKWARD}ConvolutionBackward0", start + 20, start + 40, thread=2, gpu=11.0)
        events += [event(STEP, start, start + 90, forward, optimizer), shadow, forward, optimizer, backward]
    steps = steps_of(events)
    assert [step.event.time_range.start for step in steps] == [0.0, 100.0]
    assert [[part.name for part in step.parts] for step in steps] == [
        [f"{SEGMENT}1", f"{BACKWARD}ConvolutionBackward0", "Optimizer.step#SGD.step"]
    ] * 2
    seen = [[(one.segment, one.seconds) for one in map(partial(seen_of, on_gpu=True), step.parts)] for step in steps]
    assert seen == [[(1, pytest.approx(5e-6)), (None, pytest.approx(11e-6)), (None, pytest.approx(2e-6))]] * 2


class FakeNvml:
    """The driver's library, as far as it is asked."""

    def __init__(self, known: str = "GPU-1", **numbers: int):
        self.known, self.numbers = known, numbers

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: object) -> int:
        return 0 if uuid.decode() == self.known else 6  # NVML_ERROR_NOT_FOUND

    def nvmlSystemGetDriverVersion(self, text: ctypes.Array, length: int) -> int:
        text.value = b"570.86"
        return 0

    def _tell(self, name: str, target: object) -> int:
        if name not in self.numbers:
            return 3  # NVML_ERROR_NOT_SUPPORTED
        target._obj.value = self.numbers[name]
        return 0

    def nvmlDeviceGetClockInfo(self, handle: object, kind: int, target: object) -> int:
        assert kind == 1  # the SM clock
        return self._tell("mhz", target)

    def nvmlDeviceGetTemperature(self, handle: object, kind: int, target: object) -> int:
        return self._tell("celsius", target)

    def nvmlDeviceGetPowerUsage(self, handle: object, target: object) -> int:
        return self._tell("milliwatts", target)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: object, target: object) -> int:
        return self._tell("reasons", target)


def test_clocks_are_read_and_summed_up() -> None:
    library = FakeNvml(mhz=1980, celsius=60, milliwatts=400_000, reasons=0x1)
    found = watch("GPU-1", library)
    assert found.driver() == "570.86"
    found()
    library.numbers = {"mhz": 1500, "celsius": 85, "milliwatts": 700_500, "reasons": 0x44}
    found()
    found()
    clocks = found.clocks()
    assert (clocks.readings, clocks.least_mhz, clocks.median_mhz, clocks.most_mhz) == (3, 1500, 1500, 1980)
    assert (clocks.most_celsius, clocks.most_watts) == (85, 700.5)
    assert clocks.throttling == ("power cap", "heat (hardware)")
    assert found.clocks() is None  # told once


@pytest.mark.parametrize("harmless", [0x0, 0x1, 0x2, 0x10, 0x100])
def test_an_idle_gpu_or_a_set_clock_is_no_throttling(harmless: int) -> None:
    found = watch("GPU-1", FakeNvml(mhz=1980, reasons=harmless))
    found()
    assert found.clocks().throttling == ()
    assert harmless not in THROTTLING


def test_what_the_driver_does_not_tell_is_left_out() -> None:
    found = watch("GPU-1", FakeNvml(celsius=50))
    found()
    assert found.clocks() is None
    assert watch("GPU-2", FakeNvml()) is None


def test_a_driver_without_a_function_is_asked_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(FakeNvml, "nvmlDeviceGetCurrentClocksThrottleReasons")
    found = watch("GPU-1", FakeNvml(mhz=1980, celsius=50))
    found()
    clocks = found.clocks()
    assert (clocks.median_mhz, clocks.most_celsius, clocks.throttling) == (1980, 50, ())


def test_no_library_of_the_driver_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert watch("GPU-1") is None


@pytest.mark.parametrize(
    ("precision", "tf32", "dtype"),
    [
        ("fp32", False, torch.float32),
        ("tf32", True, torch.float32),
        ("bf16", False, torch.bfloat16),
        ("fp16", False, torch.float16),
        ("amp-bf16", False, torch.float32),
        ("amp-fp16", False, torch.float32),
    ],
)
def test_precisions_set_both_switches_and_put_them_back(precision: str, tf32: bool, dtype: torch.dtype) -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    with switched(precision) as found:
        assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark) == (tf32, tf32, True)
        assert (found.conv_tf32, found.matmul_tf32, found.cudnn_benchmark) == (tf32, tf32, True)
    assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark) == before
    assert dtype_of(precision) == dtype


def test_only_fp16_autocast_on_a_gpu_scales_its_loss() -> None:
    assert [(p, d) for p in ("fp16", "amp-fp16", "amp-bf16") for d in ("cuda", "cpu") if needs_scaler(p, d)] == [
        ("amp-fp16", "cuda")
    ]


@pytest.mark.parametrize(("built", "words"), [("12.8", "there is no CUDA device here"), (None, "was built without CUDA")])
def test_a_missing_gpu(monkeypatch: pytest.MonkeyPatch, built: str | None, words: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    with pytest.raises(MissingError, match="E350") as caught:
        need("cuda")
    assert words in caught.value.message
    need("cpu")
