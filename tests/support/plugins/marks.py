"""Which tests start processes and which are slow: told in one place, and held to. `make test-fast` leaves both out.

A test that starts a process and is not marked so fails by its name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from fnmatch import translate
from functools import cache
from typing import Any

import pytest

PROCESSES = (
    "tests/unit/options/test_without_libraries.py::*",
    "tests/integration/test_benchmarks.py::*",
    "tests/unit/assembly/test_ready_line.py::*",
    "tests/integration/test_edged_runtimes.py::*",
    "tests/docs/test_shell_blocks.py::*",
    "tests/unit/options/test_completion.py::*",
    "tests/e2e/*",
    "tests/recordings/test_*_process.py::*",
    "tests/unit/support/test_*",
    "tests/unit/deploy/test_deploy.py::test_a_cluster_that_can_not_be_meant_*",
    "tests/docs/test_examples.py::test_all_examples_run_in_an_edge",
    "tests/docs/test_small_examples.py::*_in_an_edge_*",
    "tests/architecture/test_exports.py::*loads*",
    "tests/unit/test_entrypoint.py::*",
    "tests/docs/test_supervised_actors.py::*",
    "tests/docs/test_tutorial.py::*",
    "tests/integration/test_edgehub_link.py::*_process_is_killed",
    "tests/unit/actors/devicetwin/test_durability.py::*kill_9*",
    "tests/unit/actors/dmi/test_dmi.py::test_the_libraries_are_imported_only_*",
    "tests/unit/deploy/test_rbac.py::*",
    "tests/integration/test_two_hubs.py::*",
    "tests/unit/apiserver/test_crash.py::*",
    "tests/unit/apiserver/test_server.py::test_the_command_*",
    "tests/unit/dashboard/test_endings.py::*",
    "tests/unit/dashboard/test_plain.py::test_a_process_*",
    "tests/unit/dashboard/test_serving.py::*",
    "tests/unit/dashboard/test_tmux.py::*",
    "tests/unit/drivers/bootstrap/test_client.py::*joining_process*",
    "tests/unit/drivers/broker/test_durability.py::*kill_9*",
    "tests/unit/drivers/cluster/test_flaky_api.py::*plugin*",
    "tests/unit/drivers/machine/test_machine.py::*pause_program_sleeps*",
    "tests/unit/drivers/containers/test_process.py::*",
    "tests/unit/drivers/containers/test_process_logs.py::*container*",
    "tests/unit/drivers/containers/test_process_limits.py::*container*",
    "tests/security/test_leftovers.py::*",
    "tests/unit/drivers/pki/test_file_authority.py::*certificate_process*",
    "tests/unit/drivers/store/test_damage.py::*kill_9*",
    "tests/unit/drivers/store/test_damage.py::*full_disk*",
    "tests/unit/supervisors/test_module_store.py::*killed*",
    "tests/unit/drivers/store/test_mailboxes.py::*full_disk*",
    "tests/unit/supervisors/process/test_thespian_hosts.py::*",
    "tests/unit/supervisors/process/test_worker_context.py::*",
    "tests/unit/tools/test_mutants.py::*",
    "tests/unit/supervisors/process/test_processes*",
    "tests/security/test_at_rest.py::test_a_cloud_and_an_edge_*",
    "tests/security/test_data_dir.py::test_a_command_ends_*",
)
"""Tests, as patterns of their names without parameters."""
LONG = (
    "tests/docs/test_shell_blocks.py::*",
    "tests/e2e/*",
    "tests/recordings/test_*_process.py::*",
    "tests/docs/test_tutorial.py::*",
    "tests/docs/test_examples.py::*",
    "tests/docs/test_small_examples.py::*_in_an_edge_*",
    "tests/unit/supervisors/process/test_processes_model.py::*",
    "tests/security/test_at_rest.py::test_a_cloud_and_an_edge_*",
)
"""What waits for other processes most of its time. With several workers it comes first, and so with one of them, while the
others compute: no worker ends with a long test, and few of these run at the same time.
"""
ENGINES = {"hosts", "process", "external", "mosquitto"}
"""Parameters with which a test uses another process."""
WANTED = ("mosquitto", "kubectl", "docker", "tmux", "chromium")
"""What a test wants that uses another process."""
SLOW = (
    "tests/architecture/test_clocks.py::test_nothing_depends_*",
    "tests/docs/test_glossary.py::test_no_replaced_word_*",
    "tests/security/test_retries.py::*known_with_its_pace",
    "tests/unit/apiserver/codec/test_depth.py::test_a_deep_body_*",
    "tests/unit/drivers/link/test_client.py::test_a_patient_link_*",
    "tests/unit/supervisors/telemetry/test_tracing_threads.py::test_nothing_is_lost_*",
    "tests/unit/wire/test_constants.py::test_a_file_takes_*",
    "tests/unit/actors/*/test_*_model.py::*",
    "tests/unit/actors/cloudhub/test_malformed_frames.py::*",
    "tests/unit/actors/cloudhub/test_ack_queue.py::TestDelivery::*",
    "tests/unit/actors/cloudhub/test_units.py::*overdue",
    "tests/unit/actors/devicetwin/test_device_twin.py::test_any_payload_*",
    "tests/unit/actors/devicetwin/test_history.py::*whatever_happens",
    "tests/unit/actors/devicetwin/test_start.py::test_a_device_that_left_memory_*",
    "tests/unit/actors/edgecontroller/test_node_authorizer.py::*strange*",
    "tests/unit/actors/edged/test_edged.py::test_a_pod_that_the_cloud_has_forgotten_*",
    "tests/unit/actors/edged/status/test_strategic_diff.py::*",
    "tests/unit/actors/edged/pod/test_pod_sync.py::*",
    "tests/unit/actors/leadership/test_leader_elector.py::test_never_two_lead_at_once",
    "tests/unit/actors/nodelifecycle/test_node_health.py::TestHearingAtRandom::*",
    "tests/unit/actors/scheduler/test_schedule.py::*",
    "tests/unit/actors/*::test_whatever_happens_*",
    "tests/unit/apiserver/patch/test_fieldmanager.py::test_forced_applies_*",
    "tests/unit/apiserver/test_malformed_requests.py::*",
    "tests/unit/apiserver/patch/test_patches.py::*merge_patch*",
    "tests/unit/apiserver/patch/test_patches.py::test_a_patch_as_kubectl_makes_it_*",
    "tests/unit/apiserver/storage/test_store_model.py::*",
    "tests/unit/apiserver/handlers/test_watch.py::test_two_hundred_watchers_*",
    "tests/unit/dashboard/test_app.py::*",
    "tests/unit/drivers/bootstrap/test_server.py::test_nothing_that_is_asked_*",
    "tests/unit/drivers/broker/test_unit_of_work.py::TestEndings::*",
    "tests/unit/drivers/broker/test_outgoing.py::*",
    "tests/unit/drivers/broker/test_packets.py::test_packets_come_whole_*",
    "tests/unit/drivers/dmi/test_dmi.py::*",
    "tests/unit/drivers/store/test_store_model.py::*",
    "tests/unit/supervisors/test_engines.py::test_crashes_in_a_row_*",
    "tests/unit/supervisors/test_nothing_is_lost.py::*",
    "tests/architecture/test_architecture.py::*",
    "tests/unit/wire/test_beehive_codec.py::test_names_in_another_case_*",
    "tests/unit/wire/test_beehive_codec.py::test_what_is_written_is_read_again",
    "tests/unit/wire/test_ack_policy.py::*",
    "tests/unit/wire/test_mapping.py::*",
    "tests/unit/wire/test_messages.py::test_a_message_can_be_sent_to_another_process",
    "tests/unit/wire/test_beehive.py::test_what_is_empty_*",
)
"""More than a second each on a quiet machine, without a process: most let Hypothesis try hundreds of stories, when all are tried."""
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
    return set() if call is None else {param for param in call.params.values() if isinstance(param, str)} & ENGINES


@cache  # a name has many parameters, and thousands of names are compared
def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return _pattern(patterns).match(name) is not None


@cache
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


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
    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
        """Say what was noted. What fixtures of the whole session start when they end is not the last test's."""
        if nextitem is None:
            self._watching = False
        result = yield
        if self._started:
            pytest.fail(f"starts a process, but is not marked `processes`: {self._started}", pytrace=False)
        return result
