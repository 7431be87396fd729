import json
from dataclasses import replace

import msgspec
import pytest

from agent.model.figures import Interface
from agent.model.names import DockerId
from agent.model.status import Health, Status
from agent.model.task import Task
from agent.tcs.pages import PAUSE, Figures, figures_of, health_pages, idle_page, metrics_pages
from agent.tcs.ring import Ring
from agent.tcs.sets import metric
from agent.wire import tcs
from agent.wire.tcs_metrics import TaskMetric
from tests.tcs.rows import INSTANCE, MIB, NOW, WHO, a_sample, a_task, later, restarted

SECOND = 10**9


def a_ring(*, rx: int | None = 1000, count: int = 3, restarts: tuple[int, ...] = (0, 0, 0)) -> Ring:
    """Half a processor of two, 40 and 41 MiB, 4096 bytes read more each second, 100 received."""
    ring = Ring()
    for at in range(count):
        sample = a_sample(
            at,
            at * SECOND // 2,
            (40 + at % 2) * MIB,
            read=4096 * at,
            written=7,
            rx=None if rx is None else rx + 100 * at,
            tx=8,
        )
        ring.add(sample, processors=2, restarts=restarts[at])
    return ring


def counts(least: int, most: int, total: int, number: int = 3) -> dict[str, int]:
    over = {"overflowMax": 0, "overflowMin": 0, "overflowSum": 0}
    return {"max": most, "min": least, **over, "sampleCount": number, "sum": total}


def shown(task: Task, **rings: Ring) -> list[dict[str, object]]:
    found = figures_of(task, {DockerId(name): ring for name, ring in rings.items()})
    assert found is not None
    metrics: list[dict[str, object]] = json.loads(msgspec.json.encode(found.metric))["containerMetrics"]
    return metrics


def test_the_figures_of_a_bridged_container_are_all_that_the_protocol_has() -> None:
    none = counts(0, 0, 0)

    assert shown(a_task(), a1=a_ring()) == [
        {
            "containerName": "a",
            "cpuStatsSet": {"max": 25, "min": 25, "sampleCount": 2, "sum": 50},
            "memoryStatsSet": {"max": 41, "min": 40, "sampleCount": 3, "sum": 121},
            "networkStatsSet": {
                "rxBytes": counts(1000, 1200, 3300),
                "rxBytesPerSecond": {"max": 100, "min": 100, "sampleCount": 2, "sum": 200},
                "rxDropped": none,
                "rxErrors": none,
                "rxPackets": none,
                "txBytes": counts(8, 8, 24),
                "txBytesPerSecond": {"max": 0, "min": 0, "sampleCount": 2, "sum": 0},
                "txDropped": none,
                "txErrors": none,
                "txPackets": none,
            },
            "storageStatsSet": {"readSizeBytes": counts(0, 8192, 12288), "writeSizeBytes": counts(7, 7, 21)},
        }
    ]


def test_each_counter_of_the_network_is_told_under_its_own_name() -> None:
    ring = Ring()
    for second in (0, 1):
        sample = replace(a_sample(second), network={"eth0": Interface(1, 2, 3, 4, 5, 6, 7, 8)})
        ring.add(sample, processors=1)
    found = metric("a", ring, has_network=True, has_policy=False)

    assert found is not None
    assert found.network_stats_set is not None
    words = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped")
    assert [getattr(found.network_stats_set, word).max for word in words] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("mode", ["host", "none"])
def test_a_container_without_a_network_of_its_own_tells_of_none(mode: str) -> None:
    assert "networkStatsSet" not in shown(a_task(mode=mode), a1=a_ring())[0]


def test_a_network_that_could_not_be_read_is_left_out() -> None:
    assert "networkStatsSet" not in shown(a_task(), a1=a_ring(rx=None))[0]


def test_of_a_task_with_a_network_of_its_own_all_but_the_pause_container_tell_of_it() -> None:
    task = a_task(1, "web", PAUSE, mode="awsvpc")

    web, pause = shown(task, **{"web1": a_ring(), f"{PAUSE}1": a_ring()})

    assert "networkStatsSet" in web
    assert "networkStatsSet" not in pause


def test_a_container_that_was_looked_at_once_tells_nothing() -> None:
    assert figures_of(a_task(), {DockerId("a1"): a_ring(count=1)}) is None
    assert figures_of(a_task(), {}) is None


def test_one_sample_is_enough_where_an_earlier_one_was_told() -> None:
    ring = a_ring()
    ring.sent(2)

    [only] = shown(a_task(), a1=ring)

    assert only["cpuStatsSet"] == {"max": 25, "min": 25, "sampleCount": 1, "sum": 25}


def test_nothing_is_told_twice() -> None:
    ring = a_ring()
    found = figures_of(a_task(), {DockerId("a1"): ring})
    assert found is not None
    [page] = metrics_pages([found], WHO, "m", NOW)

    assert figures_of(a_task(), {DockerId("a1"): ring}) == found  # not written: it is still news
    page.sent()

    assert figures_of(a_task(), {DockerId("a1"): ring}) is None


@pytest.mark.parametrize(("told", "restarts", "count"), [(0, (2, 2, 3), 1), (1, (2, 3, 4), 2), (2, (2, 3, 3), 0)])
def test_restarts_are_counted_from_the_last_sample_that_was_told(
    told: int, restarts: tuple[int, ...], count: int
) -> None:
    ring = a_ring(restarts=restarts)
    ring.sent(told)

    assert shown(a_task(policy=True), a1=ring)[0]["restartStatsSet"] == {"restartCount": count}
    assert "restartStatsSet" not in shown(a_task(), a1=ring)[0]


def test_a_count_of_restarts_that_went_back_is_left_out() -> None:
    assert "restartStatsSet" not in shown(a_task(policy=True), a1=a_ring(restarts=(3, 3, 0)))[0]


def test_an_instance_without_containers_is_idle() -> None:
    assert json.loads(msgspec.json.encode(idle_page(WHO, "m", later(0.123)).frame)) == {
        "metadata": {"cluster": "demo", "containerInstance": INSTANCE, "fin": True, "idle": True, "messageId": "m"},
        "timestamp": 1768478400.123,
    }


def some(count: int, octets: int = 0) -> list[Figures]:
    """Figures of so many tasks; each takes at least so many octets."""
    return [Figures(TaskMetric([], f"arn:task/{number}" + "x" * octets, "shop", "7"), ()) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (25, [10, 10, 5])]
)
def test_a_frame_tells_of_ten_tasks_and_the_last_one_is_final(count: int, sizes: list[int]) -> None:
    pages = metrics_pages(some(count), WHO, "m", NOW)

    assert [len(page.frame.task_metrics or ()) for page in pages] == sizes
    metadata = [page.frame.metadata for page in pages]
    assert metadata == [
        tcs.MetricsMetadata("demo", INSTANCE, fin=page == len(sizes), idle=False, message_id="m")
        for page in range(1, len(sizes) + 1)
    ]


def test_a_frame_fills_its_mebibyte_to_the_last_octet_and_not_beyond() -> None:
    empty = len(msgspec.json.encode(metrics_pages(some(1), WHO, "m", NOW)[0].frame)) + 1  # not final
    one = len(msgspec.json.encode(some(1)[0].metric))
    room = tcs.MOST_OCTETS - empty - 1  # a comma

    def sizes(octets: int) -> list[int]:
        large = some(2, octets)
        large[1] = some(1, room - one - octets)[0]
        return [len(msgspec.json.encode(page.frame)) for page in metrics_pages(large, WHO, "m", NOW)]

    assert sizes(1000) == [tcs.MOST_OCTETS - 1]  # "true" is shorter than "false"
    room += 1
    assert len(sizes(1000)) == 2


def test_a_task_that_fits_into_no_frame_is_alone_in_one() -> None:
    pages = metrics_pages([*some(1), *some(1, tcs.MOST_OCTETS), *some(1)], WHO, "m", NOW)

    assert [len(page.frame.task_metrics or ()) for page in pages] == [1, 1, 1]


def health(*tasks: Task) -> list[tcs.PublishHealthRequest]:
    return health_pages({task.arn: task for task in tasks}, WHO, "h", later(1.5))


def test_health_is_told_with_the_time_since_when_it_is_so() -> None:
    [page] = health(a_task(1, "a", "b", checked=True, health=Health.UNHEALTHY), a_task(2), a_task(3, checked=True))

    assert json.loads(msgspec.json.encode(page)) == {
        "metadata": {"cluster": "demo", "containerInstance": INSTANCE, "fin": True, "messageId": "h"},
        "tasks": [
            {
                "containers": [
                    {"containerName": "a", "healthStatus": "UNHEALTHY", "statusSince": 1768478390.5},
                    {"containerName": "b", "healthStatus": "UNHEALTHY", "statusSince": 1768478390.5},
                ],
                "taskArn": "arn:task/1",
                "taskDefinitionFamily": "shop",
                "taskDefinitionVersion": "7",
            },
            {
                "containers": [{"containerName": "a", "healthStatus": "UNKNOWN", "statusSince": 1768478401.5}],
                "taskArn": "arn:task/3",
                "taskDefinitionFamily": "shop",
                "taskDefinitionVersion": "7",
            },
        ],
        "timestamp": 1768478401.5,
    }


def test_no_frame_tells_of_containers_without_a_check_or_that_have_ended() -> None:
    assert not health(a_task(1), a_task(2, checked=True, known=Status.STOPPED))


def test_health_comes_ten_tasks_a_frame() -> None:
    pages = health(*(a_task(number, checked=True) for number in range(1, 12)))

    assert [(len(page.tasks or ()), page.metadata and page.metadata.fin) for page in pages] == [(10, False), (1, True)]
    assert {page.metadata and page.metadata.message_id for page in pages} == {"h"}


def test_a_restarted_container_is_the_same_one() -> None:
    task = restarted(a_task(policy=True), 2)

    assert shown(task, a1=a_ring())[0]["containerName"] == "a"


def test_a_task_of_no_family_is_not_told_of() -> None:
    task = a_task(checked=True)
    nameless = replace(task, spec=replace(task.spec, family=""))

    assert figures_of(nameless, {DockerId("a1"): a_ring()}) is None
    assert health_pages({nameless.arn: nameless}, WHO, "c0de", NOW) == []
