"""Which tests start processes and which are slow: told in one place, and held to. `make test-fast` leaves both out.

A test that starts a process and is not marked so fails by its name.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from fnmatch import fnmatchcase
from typing import Any

import pytest

PROCESSES = (
    "tests/options/test_without_libraries.py::*",
    "tests/test_benchmarks.py::*",
    "tests/test_readiness.py::*",
    "tests/actors/test_edged_real.py::*",
    "tests/docs/test_shell_blocks.py::*",
    "tests/options/test_completion.py::*",
    "tests/e2e/*",
    "tests/replay/*",
    "tests/support/test_*",
    "tests/test_deploy.py::test_a_cluster_that_can_not_be_meant_*",
    "tests/test_examples.py::test_all_examples_run_in_an_edge",
    "tests/test_exports.py::*loads*",
    "tests/test_program.py::*",
    "tests/test_tutorial.py::*",
    "tests/actors/test_edgehub_links.py::*_process_is_killed",
    "tests/actors/test_devicetwin_durability.py::*kill_9*",
    "tests/actors/test_dmi.py::test_the_libraries_are_imported_only_*",
    "tests/actors/test_rights.py::*",
    "tests/actors/test_two_hubs.py::*",
    "tests/apiserver/test_crash.py::*",
    "tests/apiserver/test_server.py::test_the_command_*",
    "tests/dashboard/test_app.py::test_it_ends_when_*",
    "tests/drivers/test_bootstrap_client.py::*joining_process*",
    "tests/drivers/test_broker_durable.py::*kill_9*",
    "tests/drivers/test_cluster_storm.py::*plugin*",
    "tests/drivers/test_containers_machine.py::*pause_program_sleeps*",
    "tests/drivers/test_containers_process.py::*",
    "tests/drivers/test_pki.py::*certificate_process*",
    "tests/drivers/test_store_damage.py::*kill_9*",
    "tests/drivers/test_store_damage.py::*full_disk*",
    "tests/supervisors/test_convention.py::*",
    "tests/supervisors/test_far_context.py::*",
    "tests/test_mutants.py::*",
    "tests/supervisors/test_processes*",
)
"""Tests, as patterns of their names without parameters."""
LONG = (
    "tests/docs/test_shell_blocks.py::*",
    "tests/e2e/*",
    "tests/replay/*",
    "tests/test_tutorial.py::*",
    "tests/test_examples.py::*",
    "tests/supervisors/test_processes_at_random.py::*",
)
"""What waits for other processes most of its time. With several workers it comes first, and so with one of them, while the
others compute: no worker ends with a long test, and few of these run at the same time.
"""
ENGINES = {"hosts", "process", "external", "mosquitto"}
"""Parameters with which a test uses another process."""
WANTED = ("mosquitto", "kubectl", "docker")
"""What a test wants that uses another process."""
SLOW = (
    "tests/actors/test_*_model.py::*",
    "tests/actors/test_cloudhub_fuzz.py::*",
    "tests/actors/test_cloudhub_outbox.py::TestDelivery::*",
    "tests/actors/test_cloudhub_rules.py::*overdue",
    "tests/actors/test_devicetwin.py::test_any_payload_*",
    "tests/actors/test_devicetwin_history.py::*whatever_happens",
    "tests/actors/test_devicetwin_start.py::test_a_device_that_left_memory_*",
    "tests/actors/test_edgecontroller_authorisation.py::*strange*",
    "tests/actors/test_edged.py::test_a_pod_that_the_cloud_has_forgotten_*",
    "tests/actors/test_edged_patch.py::*",
    "tests/actors/test_edged_plan.py::*",
    "tests/actors/test_leadership.py::test_never_two_lead_at_once",
    "tests/actors/test_nodelifecycle_pulses.py::TestHearingAtRandom::*",
    "tests/actors/test_scheduler_plan.py::*",
    "tests/actors/*::test_whatever_happens_*",
    "tests/apiserver/test_apply.py::test_forced_applies_*",
    "tests/apiserver/test_fuzz.py::*",
    "tests/apiserver/test_patches.py::*merge_patch*",
    "tests/apiserver/test_patches.py::test_a_patch_as_kubectl_makes_it_*",
    "tests/apiserver/test_storage_machine.py::*",
    "tests/apiserver/test_watching.py::test_two_hundred_watchers_*",
    "tests/dashboard/test_app.py::*",
    "tests/drivers/test_bootstrap.py::test_nothing_that_is_asked_*",
    "tests/drivers/test_broker_journal.py::TestEndings::*",
    "tests/drivers/test_broker_outbox.py::*",
    "tests/drivers/test_broker_packets.py::test_packets_come_whole_*",
    "tests/drivers/test_dmi.py::*",
    "tests/drivers/test_store_model.py::*",
    "tests/supervisors/test_engines.py::test_crashes_in_a_row_*",
    "tests/supervisors/test_nothing_is_lost.py::*",
    "tests/test_architecture.py::test_a_third_party_library_*",
    "tests/wire/test_codec.py::test_names_in_another_case_*",
    "tests/wire/test_codec.py::test_what_is_written_is_read_again",
    "tests/wire/test_delivery.py::*",
    "tests/wire/test_mapping.py::*",
    "tests/wire/test_messages.py::test_a_message_can_be_sent_to_another_process",
    "tests/wire/test_record.py::test_what_is_empty_*",
)
"""More than a second each on a quiet machine, without a process: most let Hypothesis try hundreds of stories."""
STARTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty"}


def pytest_configure(config: pytest.Config) -> None:
    """The markers, and who watches over them."""
    config.addinivalue_line("markers", "processes: starts processes")
    config.addinivalue_line("markers", "slow: takes more than a second without starting a process")
    config.pluginmanager.register(Unmarked(), "unmarked-tests")


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests."""
    for item in items:
        name = item.nodeid.partition("[")[0]
        if _matches(name, PROCESSES) or _engines(item) or any(map(item.get_closest_marker, WANTED)):
            item.add_marker("processes")
        if _matches(name, SLOW):
            item.add_marker("slow")


def _engines(item: pytest.Item) -> set[str]:
    """Those of its parameters with which it uses another process."""
    call: Any = getattr(item, "callspec", None)
    return set() if call is None else {each for each in call.params.values() if isinstance(each, str)} & ENGINES


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")  # after they were shuffled
def long_ones_first(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Otherwise in the order that there is."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not _matches(item.nodeid.partition("[")[0], LONG))


class Unmarked:
    """Notes the start of a process in a test that is not marked so."""

    def __init__(self) -> None:
        self._watching = False
        self._started = ""
        sys.addaudithook(self._on_event)  # stays for the life of the interpreter

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and event in STARTS:
            self._started = str(arguments[:2] or event)[:200]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Watch over this test."""
        self._started = ""
        self._watching = item.get_closest_marker("processes") is None
        try:
            return (yield)
        finally:
            self._watching = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        """Say what was noted."""
        result = yield
        if self._started:
            pytest.fail(f"starts a process, but is not marked `processes`: {self._started}", pytrace=False)
        return result
