"""The page is made of stored files, all of them or none."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from robustify.claims import __main__ as command
from robustify.claims.__main__ import main, make_page
from robustify.errors import InputError
from robustify.fingerprint import configuration_sha256
from robustify.significance import over_seeds

from ..conftest import PROJECT
from .stored import store, verified_entry


def test_the_page_is_made_of_stored_files_and_the_same_again(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    for content in (summary, details):
        content["seeds"] = [0]
    for about in summary["nets"].values():
        about["test_accuracy"] = over_seeds([about["test_accuracy"]["mean"]])
    store(data, "mnist", summary, details)
    page = make_page(data, docs)
    text = page.read_text()
    assert json.loads((docs / "results/mnist.json").read_text()) == summary
    files = {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()}
    assert make_page(data, docs) == page
    # and without the data, as in a fresh clone
    make_page(tmp_path / "nowhere", docs)
    assert {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()} == files
    assert "1 seed: 0" in text
    assert "| l2 | 0.5 | 98.00 | 99.28 | 80.00 | 76.55 |" in text
    assert "### C1: undecided" in text
    assert "### C2: held" in text
    assert "transfer between architectures hasn't been measured" in text
    assert "MNIST: transfer of l1 and linf examples: `mnist.across_seeds.transfer.sets`" in text
    assert "MNIST with more seeds than 0: `kedro run --pipeline=mnist_robust --params=mnist.seed=1`" in text  # fmt: skip
    assert "cifar: nothing stored" in text
    assert "](results/mnist_learning_curves.png)" in text


def test_results_of_a_part_of_the_data_are_refused(
    tmp_path: Path,
    summary: dict[str, Any],
    details: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["claims", f"--data={tmp_path / 'data'}", f"--docs={tmp_path / 'docs'}"]
    monkeypatch.setattr("sys.argv", arguments)
    assert main() == 2
    assert "kedro run --pipeline=mnist_seeds" in capsys.readouterr().err
    store(tmp_path / "data", "mnist", summary, {**details, "environment": "quick"})
    assert main() == 2
    assert "environment 'quick'" in capsys.readouterr().err
    assert not (tmp_path / "docs" / "results.md").exists()


def test_a_part_of_the_data_is_refused_whatever_its_environment_is_called(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    store(tmp_path / "data", "mnist", summary, {**details, "complete": False})
    with pytest.raises(InputError, match=r"of a part of the data \(1,000 test images\)"):
        make_page(tmp_path / "data", tmp_path / "docs")
    assert not (tmp_path / "docs" / "results").exists()


def test_summary_and_details_must_be_of_one_gathering(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, {**details, "summary_sha256": configuration_sha256(summary)})
    make_page(data, docs)
    changed = copy.deepcopy(summary)
    changed["nets"]["l2"]["test_accuracy"]["mean"] = 0.5
    (data / "08_reporting/mnist/across_seeds/summary.json").write_text(json.dumps(changed))
    with pytest.raises(
        InputError, match=r"aren't of one gathering.*--env=base --pipeline=mnist_seeds"
    ):
        make_page(data, docs)


def test_what_another_process_stores_meanwhile_stays(
    tmp_path: Path,
    summary: dict[str, Any],
    details: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    make_page(data, docs)
    verified = docs / "results" / "verification.json"
    verified.write_text("[]")

    def slowly(*arguments: Any) -> str:
        verified.write_text("[1]")
        return "text"

    monkeypatch.setattr(command, "render", slowly)
    make_page(data, docs)
    assert verified.read_text() == "[1]"


@pytest.mark.parametrize("damage", ["nets", "environment"])
def test_what_is_stored_stays_unless_the_whole_page_can_be_made(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any], damage: str
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    make_page(data, docs)
    before = {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()}
    changed = copy.deepcopy(summary)
    changed["nets"]["l2"]["test_accuracy"]["mean"] = 0.5
    store(data, "mnist", changed, details)
    broken = {key: value for key, value in details.items() if key != damage}
    store(data, "new", summary, broken)
    with pytest.raises(InputError, match=r"new/across_seeds/details\.json doesn't hold"):
        make_page(data, docs)
    assert {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()} == before


def test_other_settings_have_a_section_of_their_own_and_no_say_in_the_verdicts(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    alone = make_page(data, docs).read_text()
    other = copy.deepcopy(summary)
    other["seeds"] = [0]
    for net, about in other["nets"].items():
        about["test_accuracy"] = over_seeds([0.5 if net in ("l2", "linf") else 0.97])
    store(
        data,
        "mnist/paper",
        other,
        {**details, "seeds": [0], "environment": "paper", "single_pixel": {}},
    )
    page = make_page(data, docs).read_text()
    section = page.partition("## MNIST, `conf/paper`")[2].partition("\n## ")[0]
    assert "kedro run --env=paper --pipeline=mnist_seeds" in section
    assert "50.00" in section
    assert (
        "Verdicts as under `conf/base`: C2, C3, C4, C6, C7; others: C1 undecided, there held; C5 not measured, there held."
        in section
    )
    missing = "* MNIST: the authors' settings, `conf/paper`, in full: `kedro run --env=paper --pipeline=mnist_robust`\n"
    assert missing in alone
    once = "* MNIST, on more than one seed: transfer between nets"
    assert once + "\n" in alone
    rest = page.replace("## MNIST, `conf/paper`" + section + "\n", "")
    # a table below the verdicts, which it has no part of
    before, _, after = rest.partition("By the same rules under other settings")
    verdicts, _, after = after.partition("\n\n### C1")
    assert verdicts.splitlines()[2:] == [
        "|  | seeds | C1 | C2 | C3 | C4 | C5 | C6 | C7 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| MNIST, `conf/paper` | 0 | undecided | held | held | held | not measured | held | held |",
    ]
    rest = f"{before}### C1{after}"
    assert rest == alone.replace(missing, "").replace(once, once + ", the settings of `conf/paper`")
    assert (docs / "results/mnist_paper.json").is_file()
    assert json.loads((docs / "results/mnist.json").read_text()) == summary


def test_damaged_files_are_named(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    store(tmp_path / "data", "mnist", summary, details)
    make_page(tmp_path / "data", tmp_path / "docs")
    (tmp_path / "docs/results/mnist.json").write_text("{")
    with pytest.raises(InputError, match=r"results/mnist\.json"):
        make_page(tmp_path / "nowhere", tmp_path / "docs")


def test_the_page_in_the_repository_is_that_of_the_stored_results(tmp_path: Path) -> None:
    stored = PROJECT / "docs" / "results"
    docs = tmp_path / "docs"
    (docs / "results").mkdir(parents=True)
    for path in stored.iterdir():
        (docs / "results" / path.name).write_bytes(path.read_bytes())
    page = make_page(tmp_path / "nowhere", docs)
    assert page.read_text() == (PROJECT / "docs" / "results.md").read_text()
    for path in stored.glob("*_details.json"):
        kept = json.loads((stored / f"{path.stem.removesuffix('_details')}.json").read_text())
        assert set(kept) == {"seeds", "adversarial_set", "nets", "tests"}
        assert len(kept["adversarial_set"]["size"]) == len(kept["seeds"])


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("docs/results/mnist_objectives.csv", "", "isn't a table"),
        ("docs/results/mnist_objectives.csv", "net,objective,options,uncertainty_set,radius,test_accuracy,adversarial_set_accuracy,pgd_images\n", "has no nets"),
        ("docs/results/mnist_objectives.csv", "net,epoch\nl2,1\n", "lacks the columns adversarial_set_accuracy, objective"),
        ("docs/results/mnist_readings.csv", "net,step\nl2,literal\n", "lacks the columns adversarial_set_accuracy, norm"),
        ("docs/results/mnist_smallest_perturbations.csv", "images\n3\n", "lacks the columns net"),
        ("docs/results/mnist_paper_first_epochs.csv", "net,test_accuracy\nl2,0.3\n", "lacks the columns epoch, loss, seconds"),
        ("docs/results/mnist_watched_nets.csv", "net,epoch\nl2,1\n", "lacks the columns held_out_accuracy, held_out_fgsm_accuracy"),
        ("data/07_model_output/mnist/l2/learning_curve.csv", "", "isn't a table"),
        ("data/07_model_output/mnist/paper/l2/learning_curve.csv", "", "isn't a table"),
        ("data/08_reporting/mnist/objectives.csv", "", "isn't a table"),
        ("data/08_reporting/mnist/across_seeds/summary.json", "{", "isn't readable"),
        ("data/08_reporting/mnist/across_seeds/details.json", "[]", "doesn't hold best_on_adversarial_set, environment"),
        ("docs/results/verification.json", "{}", "isn't a list of results"),
        ("docs/results/verification.json", '[{"experiment": "mnist", "net": "l2", "norm": "l2", "epsilon": 1.0}]', "lacks autoattack_accuracy, clean_accuracy, command"),
        ("docs/results/verification.json", verified_entry(images=0), "images is 0 in an entry; it must be >= 1"),
        ("docs/results/verification.json", verified_entry(images="many"), "isn't a list of results"),
        ("docs/results/verification.json", verified_entry(autoattack_accuracy=93.0), "autoattack_accuracy is 93.0 in an entry; it must be a share"),
    ],
)  # fmt: skip
def test_a_stored_file_that_is_none_is_named(
    tmp_path: Path,
    summary: dict[str, Any],
    details: dict[str, Any],
    name: str,
    content: str,
    complaint: str,
) -> None:
    store(tmp_path / "data", "mnist", summary, details)
    make_page(tmp_path / "data", tmp_path / "docs")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=complaint) as caught:
        make_page(tmp_path / "data", tmp_path / "docs")
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_of_a_look_at_the_graph_is_left_out_whatever_its_columns(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    store(tmp_path / "data", "mnist", summary, details)
    table = tmp_path / "data/08_reporting/mnist/readings.csv"
    table.write_text("net,step,environment\nl2,literal,quick\n")
    make_page(tmp_path / "data", tmp_path / "docs")
    assert not (tmp_path / "docs/results/mnist_readings.csv").exists()
