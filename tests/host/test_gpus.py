"""What answers about GPUs come to."""

import pytest

from agent.host.gpus import Answer, Lack, Signs, handed_over, judge, silent
from agent.model.devices import GpuReading, Gpus
from agent.model.errors import BadInput

A = Gpus(("GPU-a",), "550")
BEFORE = GpuReading(Gpus(("GPU-b", "GPU-c"), "535"), "NVML", "something old")
LEFT = '{"DriverVersion":"470.57.02","GPUIDs":["GPU-x","GPU-y"]}'
LEFT_GPUS = Gpus(("GPU-x", "GPU-y"), "470.57.02")


@pytest.mark.parametrize(
    ("answer", "signs", "reading"),
    [
        (Answer(A), Signs(handed_over=LEFT), GpuReading(A, "NVML")),
        (Answer(A, ("GPU 1 is lost", "GPU 2 too")), Signs(), GpuReading(A, "NVML", "GPU 1 is lost; GPU 2 too")),
        (
            Answer(Gpus((), "550")),
            Signs(handed_over=LEFT),
            GpuReading(Gpus((), "550"), "NVML", "the NVIDIA driver 550 works, but shows no GPU that a task could have"),
        ),
        (
            Answer(Gpus((), "550"), ("GPU 0 is lost",)),
            Signs(),
            GpuReading(
                Gpus((), "550"),
                "NVML",
                "the NVIDIA driver 550 works, but shows no GPU that a task could have: GPU 0 is lost",
            ),
        ),
        (Answer(lack=Lack.LIBRARY), Signs(), GpuReading()),
        (Answer(lack=Lack.DRIVER), Signs(has_driver=True, handed_over=LEFT), GpuReading()),
        (Answer(lack=Lack.LIBRARY), Signs(handed_over=LEFT), GpuReading(LEFT_GPUS, "nvidia-gpu-info.json")),
        (
            Answer(lack=Lack.LIBRARY),
            Signs(has_driver=True, handed_over='{"GPUIDs":null}'),
            GpuReading(trouble="an NVIDIA driver is loaded, but libnvidia-ml.so.1 is not there to ask it"),
        ),
        (
            Answer(lack=Lack.LIBRARY),
            Signs(handed_over="{"),
            GpuReading(
                trouble="nvidia-gpu-info.json: is not JSON: Expecting property name enclosed in double quotes: "
                "line 1 column 2 (char 1)"
            ),
        ),
        (Answer(error="Unknown Error"), Signs(), GpuReading(BEFORE.gpus, "NVML", "NVML fails: Unknown Error")),
    ],
)
def test_no_driver_is_no_trouble_and_no_answer_changes_nothing(
    answer: Answer, signs: Signs, reading: GpuReading
) -> None:
    assert judge(answer, signs, BEFORE) == reading


def test_silence_changes_nothing_but_is_said() -> None:
    assert silent(BEFORE, 20.0) == GpuReading(BEFORE.gpus, "NVML", "NVML does not answer within 20 s")


def test_names_in_the_file_are_read_in_any_case() -> None:
    assert handed_over(LEFT.replace("DriverVersion", "driverversion").replace("GPUIDs", "gpuIDs")) == LEFT_GPUS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "nvidia-gpu-info.json: must be an object with DriverVersion and GPUIDs"),
        ('{"GPUIDs":"GPU-x"}', "nvidia-gpu-info.json: must be an object with DriverVersion and GPUIDs"),
        ('{"GPUIDs":[],"DriverVersion":5}', "nvidia-gpu-info.json: must be an object with DriverVersion and GPUIDs"),
        ('{"GPUIDs":[1]}', "nvidia-gpu-info.json: GPUIDs: must be a list of names"),
        ('{"GPUIDs":[""]}', "nvidia-gpu-info.json: GPUIDs: must be a list of names"),
    ],
)
def test_a_file_that_says_something_else_is_named_with_the_rule(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        handed_over(text)
    assert str(caught.value) == said
