"""How benchmarks are told beside their peers."""

from __future__ import annotations

from benchmarks.percentiles import percentile, percentile_lines, throughput_lines


def test_a_percentile_is_one_of_the_measured_values() -> None:
    assert [percentile(range(1, 101), percent) for percent in (0, 50, 95, 100)] == [1, 50, 95, 100]
    assert (percentile([7.0], 95), percentile([1.0, 2.0], 50), percentile([1.0, 2.0], 95)) == (7.0, 1.0, 2.0)


def test_each_benchmark_is_told_as_a_multiple_of_the_peers_of_its_group_alone() -> None:
    measured = [
        ("exec", "test_exec", [0.004, 0.01]),
        ("exec", "test_crun_exec", [0.002, 0.002]),
        ("other", "test_other", [1.0]),
    ]
    assert percentile_lines(measured) == [
        "exec:",
        f"  {'test_exec':<44}      4.00 ms     10.00 ms  2.00 / 5.00 x test_crun_exec",
        f"  {'test_crun_exec':<44}      2.00 ms      2.00 ms",
        "other:",
        f"  {'test_other':<44}   1000.00 ms   1000.00 ms",
    ]


def test_throughput_is_told_of_one_group_with_the_goal_beside_what_is_no_peer() -> None:
    measured = [
        ("flood", "test_output", [1.0, 2.0, 3.0]),
        ("flood", "test_plain_socket", [0.5]),
        ("other", "test_other", [1.0]),
    ]
    assert throughput_lines(measured, "flood", 1_000_000_000, 600) == [
        "flood:",
        f"  {'test_output':<44}       500 MB/s  goal: over 600 MB/s",
        f"  {'test_plain_socket':<44}      2000 MB/s",
    ]
