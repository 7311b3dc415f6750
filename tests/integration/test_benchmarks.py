"""The benchmarks are run by hand, so that they can still be started, and what the runner makes of them, is found out here."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("_rows")


@pytest.fixture
def runner(rows: ModuleType) -> ModuleType:
    return loaded("run")


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_finds_all_that_it_measures(rows: ModuleType, name: str) -> None:
    module = loaded(name)
    assert module.__doc__ and 'if __name__ == "__main__":' in (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    del sys.modules[module.__name__]


def test_the_runner_knows_of_each_how_long_it_takes(runner: ModuleType) -> None:
    benchmarks = runner.found(FOLDER)
    assert [each.name for each in benchmarks] == [name for name in NAMES if name != "run"]
    assert all(each.about and each.takes > 0 for each in benchmarks)


def test_the_examples_in_the_docstrings_hold(rows: ModuleType, runner: ModuleType) -> None:
    for module in (rows, runner):
        found = doctest.testmod(module)
        assert (found.attempted > 0, found.failed) == (True, 0)


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "ratio", "budget", "over"), [
    (36.0, None, "<= 36", False),
    (36.1, None, "<= 36", True),
    (2_799.0, None, ">= 2,800/s", True),
    (2_800.0, None, ">= 2,800/s, goal 4,000/s", False),
    (1.4, None, "<= 1.5 ms", False),
    (1.6, None, "<= 1.5 ms", True),
    (1.0, None, "< 1", True),
    (1.0, None, "> 1", True),
    (0, None, "0", False),
    (1, None, "0", True),
    (99.0, 1.9, ">= 2x", True),
    (1.0, 2.0, ">= 2x", False),
    (1.0, None, None, False),
])  # fmt: skip
def test_what_is_over_its_budget(
    rows: ModuleType, value: float, ratio: float | None, budget: str | None, over: bool
) -> None:
    assert rows.Row("a", value, "s", budget, None, ratio).over is over


@pytest.mark.parametrize(("budget", "error"), [("soon", "no budget"), (">= 2x", "there is none")])
def test_a_budget_that_nobody_can_keep_is_a_mistake(rows: ModuleType, budget: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        _ = rows.Row("a", 1.0, "s", budget).over


def test_a_row_says_in_json_where_its_baseline_is_from(rows: ModuleType) -> None:
    plain = rows.Row("start", 1.23456, "s", "<= 1 s", 4.0, 3.24, "the original, 2 cores").plain()
    assert plain == {
        "name": "start", "value": 1.235, "unit": "s", "budget": "<= 1 s", "baseline": 4.0, "ratio": 3.24,
        "baseline_from": "the original, 2 cores", "over": True,
    }  # fmt: skip
    assert rows.Row("a", 1.0, "s", None, 2.0, 2.0).plain()["baseline_from"] == "this run"
    assert rows.Row("a", 1.0, "s").plain()["baseline_from"] is None


def test_a_row_is_the_same_after_a_trip_through_json(rows: ModuleType) -> None:
    for row in (
        rows.Row("start", 1.5, "s", "<= 1 s", 4.0, 2.5, "elsewhere"),
        rows.Row("a", 1.0, "", None, 2.0, 2.0),
        rows.Row("b", 3, ""),
    ):
        assert rows.row_of(json.loads(json.dumps(row.plain()))) == row


def test_the_table_marks_what_is_over_and_what_was_recorded_elsewhere(rows: ModuleType) -> None:
    lines = rows.table([
        rows.Row("slow", 2.0, "s", "<= 1 s", 4.0, 2.0, "the original, 2 cores"),
        rows.Row("good", 1234.0, "1/s", ">= 1,000/s", 617.0, 2.0),
    ]).splitlines()  # fmt: skip
    assert lines[1].split() == ["slow", "2", "s", "4*", "2.00x*", "<=", "1", "s", "OVER"]
    assert lines[2].split() == ["good", "1,234", "1/s", "617", "2.00x", ">=", "1,000/s"]
    assert lines[3:] == ["  * recorded on another machine: the original, 2 cores"]


def test_the_machine_is_told_with_cores_model_kernel_and_python(rows: ModuleType) -> None:
    facts = rows.facts_of_the_machine()
    assert facts["cores"] > 0 and facts["model"]
    assert all(str(facts[each]) in rows.machine() for each in ("model", "kernel", "python"))


@pytest.mark.parametrize(("text", "model"), [
    ("processor\t: 0\nmodel name\t: AMD EPYC 7B13\n", "AMD EPYC 7B13"),
    ("processor\t: 0\nBogoMIPS\t: 50\n\nModel\t\t: Raspberry Pi 5\n", "Raspberry Pi 5"),
    ("processor\t: 0\n", ""),
])  # fmt: skip
def test_the_model_is_what_the_kernel_calls_it(rows: ModuleType, text: str, model: str) -> None:
    assert rows._processor(text) == model


# --- the runner, with benchmarks that take no time --------------------------------------------------------------------

ROWS = '[{"name": "a", "value": %s, "unit": "s", "budget": "<= 1 s", "baseline": null, "ratio": null, "baseline_from": null}]'
FAKES = {
    "good": f"print('{ROWS % 0.5}')",
    "slow": f"print('{ROWS % 2.5}')",
    "broken": "raise SystemExit('the disk is full')",
    "silly": "print('hello')",
    "absent": "import sys; print('kubectl is not installed', file=sys.stderr); sys.exit(77)",
    "hung": "import threading; threading.Event().wait()",
}


@pytest.fixture
def fakes(tmp_path: Path) -> Path:
    """A folder of benchmarks."""
    for name, code in FAKES.items():
        text = f'"""What {name} measures.\n\nMore."""\n\nTAKES = 0.01\n{textwrap.dedent(code)}\n'
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_what_will_run_and_for_how_long_is_told_before_anything_runs(
    runner: ModuleType, fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["good"], fakes) == 0
    told, began, _ = capsys.readouterr().out.partition("== good (1 of 1, about 0 s): What good measures.")
    assert began
    assert told.startswith("On ") and "Python" in told
    assert "good         about      0 s  What good measures." in told
    assert "1 benchmarks, about 0 s on two quiet cores." in told


def test_one_that_fails_does_not_end_the_rest_and_is_in_the_exit_status(
    runner: ModuleType, fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["broken", "silly", "absent", "good"], fakes) == 1
    out = capsys.readouterr().out
    assert "FAILED: exit status 1: the disk is full" in out
    assert out.splitlines()[-4:-1] == [
        "FAILED   broken: exit status 1: the disk is full",
        out.splitlines()[-3],
        "skipped  absent: kubectl is not installed",
    ]
    assert out.splitlines()[-3].startswith("FAILED   silly: what it printed is no list of rows")
    assert out.splitlines()[-1].startswith("4 benchmarks in ")
    assert out.splitlines()[-1].endswith(": 1 of 1 budgets kept, 0 over, 2 failed")


def test_what_is_over_its_budget_is_marked_and_is_in_the_exit_status(
    runner: ModuleType, fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["slow", "good"], fakes) == 1
    out = capsys.readouterr().out
    assert "OVER     slow: a: 2.5 s, budget <= 1 s" in out
    assert "1 of 2 budgets kept, 1 over, 0 failed" in out


def test_one_that_is_skipped_is_no_failure(runner: ModuleType, fakes: Path) -> None:
    assert runner.main(["absent"], fakes) == 0


def test_one_that_hangs_is_ended(
    runner: ModuleType, fakes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "LEAST", 0.2)
    assert runner.main(["hung"], fakes) == 1
    assert "FAILED   hung: it did not end within 0 s" in capsys.readouterr().out


def test_json_is_one_object_and_all_else_goes_to_standard_error(
    runner: ModuleType, fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["slow", "broken", "--json"], fakes) == 1
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert set(result["machine"]) == {"cores", "model", "kernel", "python", "load"}
    slow, broken = result["benchmarks"]
    assert (slow["name"], slow["error"], slow["rows"][0]["over"]) == ("slow", "", True)
    assert (broken["rows"], broken["error"]) == ([], "exit status 1: the disk is full")
    assert "== slow" in said.err


def test_a_name_that_is_none_is_told_with_those_that_are(
    runner: ModuleType, fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        runner.main(["fast"], fakes)
    assert "no benchmark is called fast: there are absent, broken, good" in capsys.readouterr().err


def test_a_benchmark_that_does_not_say_how_long_it_takes_is_refused(runner: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text('"""New."""\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"new\.py does not say how many seconds it takes"):
        runner.found(tmp_path)


def test_ctrl_c_ends_the_run_with_its_own_exit_status(
    runner: ModuleType, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(benchmark: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupt)
    assert runner.main(["good"], fakes) == 130
