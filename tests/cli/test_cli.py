"""The command line: what it prints, and one clear line about what is wrong."""

import csv
import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from gradlab.cli.listing import Kind, registry
from gradlab.train import Config
from gradlab.train.parts import make_loss

QUICK = ("--epochs", "2", "--hidden", "4", "-q")


def lines(text):
    return text.strip().splitlines()


# --- what goes well -----------------------------------------------------------------------------


def test_train_predict_show(gradlab, wines, tmp_path):
    trained = gradlab("train", "wines.csv", "--epochs", "3", "--hidden", "4")
    assert trained.status == 0
    assert re.fullmatch(
        r"""wines: classification, 42 train, 9 validation, 9 test rows, .*
22 parameters, 3 epochs, weights of epoch \d kept
     train  loss [\d.]+, accuracy [\d.]+ %
validation  loss [\d.]+, accuracy [\d.]+ %
      test  loss [\d.]+, accuracy [\d.]+ %
run folder runs/wines-001
""",
        trained.out,
    )
    assert lines(trained.err)[-1].startswith("epoch 3/3  loss ")

    shown = gradlab("show", "runs/wines-001")
    assert shown.status == 0
    assert "        hidden  4\n" in shown.out
    assert shown.out.endswith(trained.out)

    predicted = gradlab("predict", "runs/wines-001", "wines.csv", "--probabilities")
    rows = list(csv.DictReader(predicted.out.splitlines()))
    assert len(rows) == 60
    for row in rows:
        assert float(row[f"p({row['kind']})"]) >= 0.5
    assert re.fullmatch(r"60 rows, accuracy [\d.]+ %\n", predicted.err)

    written = gradlab("predict", "runs/wines-001", "-", "--out", "p.csv", stdin=wines.read_bytes())
    assert (written.status, written.out) == (0, "")
    assert (tmp_path / "p.csv").read_text().split() == ["kind", *(row["kind"] for row in rows)]


def test_train_and_sample_text(gradlab, tmp_path):
    (tmp_path / "plays.txt").write_text(FILES["plays.txt"])
    model = "gpt(layers=1, heads=2, width=8)"
    words = ("--file", "plays.txt", "--block", "8", "--model", model, "--updates", "5")
    trained = gradlab("train", "text", *words)
    assert trained.status == 0, trained.err
    assert re.fullmatch(
        r"""plays: text, \d+ train, \d+ validation windows of 8 characters, 10 kinds
[\d,]+ parameters, 5 updates, weights of update \d kept
     train  loss [\d.]+, accuracy [\d.]+ %
validation  loss [\d.]+, accuracy [\d.]+ %
run folder runs/text-001
let it write: gradlab sample runs/text-001
""",
        trained.out,
    )
    assert lines(trained.err)[-1].startswith("update 5/5  loss ")
    shown = gradlab("show", "runs/text-001")
    assert f"         model  {model}\n" in shown.out
    sampled = gradlab("sample", "runs/text-001", "--length", "12", "--prompt", "To ")
    assert (sampled.status, sampled.err) == (0, "")
    assert re.fullmatch(r"To [To be,nrt.]{12}\n", sampled.out)
    assert len(gradlab("sample", "runs/text-001", "--length", "12").out) == 13
    assert (
        "has 'X', which the training text has not"
        in gradlab("sample", "runs/text-001", "--prompt", "X").err
    )


def test_train_and_predict_images(gradlab, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 1, 4, 4)).astype(np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "dots.npz", x=x, y=y)
    words = ("--epochs", "1", "--hidden", "4", "--batch-size", "8", "--augment", "flip")
    more = ("--augment", "crop(padding=1)", "--micro-batch", "4", "-q")
    trained = gradlab("train", "dots.npz", *words, *more)
    assert trained.status == 0, trained.err
    predicted = gradlab("predict", "runs/dots-001", "dots.npz", "--probabilities")
    assert predicted.out.splitlines()[0] == "class,p(0),p(1)"
    assert len(lines(predicted.out)) == 41
    assert re.fullmatch(r"40 rows, accuracy [\d.]+ %\n", predicted.err)


def test_resume_of_an_unfinished_run_counts_updates(gradlab, wines, tmp_path):
    trained = gradlab("train", wines, "--updates", "7", "--hidden", "4", "-q")
    assert "22 parameters, 7 updates, weights of update " in trained.out
    (tmp_path / "runs" / "wines-001" / "result.json").unlink()
    shown = gradlab("show", "runs/wines-001")
    assert "7 of 7 updates done; go on with: gradlab train --resume runs/wines-001" in shown.out


def test_resume_of_a_finished_run_reports(gradlab, wines, tmp_path):
    trained = gradlab("train", wines, *QUICK)
    wines.unlink()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs" / "wines-001").iterdir()}
    assert gradlab("train", "--resume", "runs/wines-001") == (0, trained.out, "")
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_resume_of_an_unfinished_run_trains(gradlab, wines, tmp_path):
    trained = gradlab("train", wines, *QUICK)
    (tmp_path / "runs" / "wines-001" / "result.json").unlink()
    shown = gradlab("show", "runs/wines-001")
    assert "2 of 2 epochs done; go on with: gradlab train --resume runs/wines-001" in shown.out
    assert gradlab("train", "--resume", "runs/wines-001", "-q") == (0, trained.out, "")


def test_standard_input(gradlab, wines, tmp_path):
    trained = gradlab("train", "-", *QUICK, stdin=wines.read_bytes())
    assert trained.status == 0
    (tmp_path / "runs" / "stdin-001" / "result.json").unlink()
    assert gradlab("train", "--resume", "runs/stdin-001", "-q").out == trained.out


def test_options_win_over_a_config_file(gradlab, wines, tmp_path):
    (tmp_path / "a.toml").write_text('data = "wines.csv"\nhidden = [4, 3]\nlr = 0.01\nepochs = 2\n')
    assert gradlab("train", "--config", "a.toml", "--lr", "0.02", "-q").status == 0
    settings = json.loads((tmp_path / "runs" / "wines-001" / "config.json").read_text())["settings"]
    expected = Config(str(wines), hidden=(4, 3), lr=0.02, epochs=2).completed("table", 42)
    assert Config.of(settings) == expected
    words = ("--config", "runs/wines-001/config.json", "-q", "--seed", "1", "--updates", "3")
    again = gradlab("train", *words)
    assert (again.status, again.err) == (0, "")
    assert again.out.endswith("run folder runs/wines-002\n")


def test_every_setting_is_an_option(gradlab, wines, tmp_path):
    given = {
        "data": "wines.csv", "target": "kind", "categorical": "ash", "task": "classification",
        "format": "csv", "validation": "0.2", "test": "0.1", "hidden": "3", "activation": "tanh",
        "dropout": "0.1", "init": "zeros", "loss": "cross_entropy", "optimizer": "sgd", "lr": "0.2",
        "schedule": "linear", "weight_decay": "0.1", "clip_norm": "2", "batch_size": "7",
        "batch_schedule": "constant", "epochs": "1", "patience": "2", "seed": "5",
        "model": "mlp", "micro_batch": "3", "evaluate_every": "2",
        "class_weight": "1,2", "label_smoothing": "0.1",
    }  # fmt: skip
    words = [w for k, v in given.items() if k != "data" for w in (f"--{k.replace('_', '-')}", v)]
    run = gradlab("train", "wines.csv", *words, "--no-standardize", "--out", "there", "-q")
    assert run.status == 0, run.err
    settings = json.loads((tmp_path / "there" / "wines-001" / "config.json").read_text())
    found = settings["settings"]
    assert found.pop("standardize") is False
    assert found.pop("data") == str(wines)
    del given["data"]
    elsewhere = {"file": None, "block": None, "data_dir": None, "augment": [], "updates": None}
    assert {name: found.pop(name) for name in elsewhere} == elsewhere
    assert given.keys() == found.keys()
    for name, text in given.items():
        value = found[name]
        assert str(value[0] if isinstance(value, list) else value) in (text, f"{text}.0")


@pytest.mark.parametrize("kind", list(Kind))
def test_list(gradlab, kind):
    found = gradlab("list", kind)
    assert found.status == 0
    for name in registry(kind):
        assert re.search(rf"^{name}\b", found.out, re.MULTILINE)


def test_schedules_plot(gradlab, tmp_path):
    found = gradlab("schedules", "plot", "cosine", "step(every=10)", "--out", "a.svg")
    assert found == (0, "drawn: a.svg\n", "")
    assert ">step(every=10)<" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize("words", [(), ("--help",), ("train", "--help"), ("schedules", "--help")])
def test_help(gradlab, words):
    found = gradlab(*words)
    assert (found.status, found.err) == (0, "")
    assert "Usage: gradlab" in found.out


def test_help_names_every_default(gradlab):
    text = " ".join(gradlab("train", "--help").out.split())
    for words in ("128,64", "kaiming_normal", "adam", "cosine", "2000", "gradlab train --resume"):
        assert words in text


# --- what does not ------------------------------------------------------------------------------

FILES = {
    "empty.csv": "",
    "header.csv": "a,b\n",
    "numbers.csv": "1,2\n3,4\n",
    "gap.csv": "a,y\n1,0\n2,\n3,1\n4,0\n",
    "nan.csv": "a,y\n1,0.5\n2,nan\n3,1.5\n4,0.1\n",
    "one.csv": "a,y\n1,x\n2,x\n3,x\n4,x\n",
    "ragged.csv": "a,y\n1,2\n1\n",
    "few.csv": "alcohol,kind\n1,a\n",
    "data.xls": "",
    "bad.toml": "a = [",
    "unknown.toml": "learning_rate = 1\n",
    "type.toml": 'data = "wines.csv"\nepochs = "many"\n',
    "list.json": "[]",
    "plays.txt": "To be, or not to be. " * 40,
}
BAD = {
    "train": "no data: name a dataset or a file",
    "train nothing": "unknown dataset 'nothing'",
    "train nothing.csv": "cannot read nothing.csv: No such file",
    "train data.xls": "cannot tell the format of data.xls",
    "train empty.csv": "empty.csv is empty",
    "train header.csv": "has a header and no rows",
    "train numbers.csv": "has the number '1' where a column name belongs",
    "train ragged.csv": "line 3: 1 fields",
    "train gap.csv": "target 'y' is missing in 1 row",
    "train nan.csv": "target 'y' is missing in 1 row",
    "train one.csv": "one class only",
    "train wines.csv --target price": "unknown column 'price'",
    "train wines.csv --categorical price": "unknown column 'price'",
    "train wines.csv --task ranking": "task must be one of",
    "train wines.csv --lr -1": "lr must be a finite number above 0, got -1",
    "train wines.csv --lr abc": "--lr",
    "train wines.csv --lr": "'--lr' requires an argument",
    "train wines.csv --epochs 0": "epochs must be at least 1",
    "train wines.csv --epochs 1.5": "--epochs",
    "train wines.csv --epochs 2 --updates 2": "epochs is 2 and updates 2; give one of them",
    "train wines.csv --updates 0": "updates must be at least 1",
    "train wines.csv --updates 9 --batch-schedule constant": "give epochs instead of updates",
    "train wines.csv --micro-batch 0": "micro_batch must be at least 1",
    "train wines.csv --model mpl": "did you mean 'mlp'",
    "train wines.csv --model 2c2d": "2c2d takes inputs of shape (channels, height, width)",
    "train wines.csv --model 2c2d --hidden 4": "hidden is an option of model mlp",
    "train wines.csv --model vae": "model vae predicts no target",
    "train wines.csv --augment flip": "there are no images to change",
    "train wines.csv --file plays.txt": "wines.csv takes no file, as the dataset text does",
    "train text": "text needs a file: gradlab train text --file",
    "train text --file no.txt": "cannot read no.txt",
    "train text --file plays.txt --block 99": "too few for windows of 99",
    "train text --file plays.txt --model char": "did you mean 'char_lstm'",
    "train text --file plays.txt --target a": "target, categorical and task are for tables",
    "train iris --block 3": "iris takes no block",
    "sample nothing": "is not a run folder",
    "train wines.csv --batch-size 43": "larger than the 42 training rows",
    "train wines.csv --hidden a": "hidden must be whole numbers",
    "train wines.csv --hidden 4,-4": "at least 1 unit",
    "train wines.csv --dropout 1": "p must be in [0, 1)",
    "train wines.csv --validation 0.9": "sum below 1",
    "train wines.csv --optimizer adm": "did you mean 'adam'",
    "train wines.csv --optimizer adam(": "cannot read optimizer",
    "train wines.csv --optimizer adam(beta1=2)": "beta1 is 2",
    "train wines.csv --optimizer adamw --weight-decay 0.1": "weight_decay",
    "train wines.csv --schedule cosin": "did you mean 'cosine'",
    "train wines.csv --init kaiming": "unknown initializer",
    "train wines.csv --activation rel": "did you mean 'relu'",
    "train wines.csv --loss mse": "loss mse does not fit classification; use cross_entropy",
    "train diabetes --loss cross_entropy": "does not fit regression; use mse or huber",
    "train wines.csv --patience 0": "patience must be at least 1",
    "train wines.csv --patience 1 --validation 0": "needs a validation split",
    "train wines.csv --out wines.csv/runs": "cannot make a run folder in wines.csv/runs",
    "train wines.csv --config bad.toml": "bad.toml is not a file of settings",
    "train --config unknown.toml": "unknown setting 'learning_rate'",
    "train --config type.toml": "epochs must be a whole number, got 'many'",
    "train --config list.json": "it has no settings",
    "train --config nothing.toml": "cannot read nothing.toml",
    "train --resume nothing": "nothing is not a run folder: there is no such folder",
    "train --resume .": "is not a run folder: it has no config.json",
    "train wines.csv --resume .": "--resume takes its settings from the run folder alone",
    "train --resume . --config bad.toml": "--resume takes its settings",
    "train wines.csv wines.csv": "extra argument",
    "train wines.csv --no-such": "No such option: --no-such",
    "predict nothing wines.csv": "is not a run folder",
    "show nothing": "is not a run folder",
    "list": "kind",
    "list colours": "'colours' is not one of",
    "schedules": "Missing command; see gradlab schedules --help",
    "schedules plot": "names",
    "schedules plot cosin": "did you mean 'cosine'",
    "schedules plot cosine --out a.gif": "end it in .png or .svg",
    "schedules plot cosine --out no/a.png": "make the folder",
    "nothing": "No such command 'nothing'",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_clear_line(gradlab, wines, tmp_path, words):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    before = sorted(os.listdir(tmp_path))
    found = gradlab(*words.split())
    assert found.status == 2
    assert BAD[words] in found.err
    assert found.err.startswith("error: ")
    assert (found.out, len(lines(found.err))) == ("", 1)
    assert sorted(os.listdir(tmp_path)) == before


def test_bad_input_after_training(gradlab, wines, tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    gradlab("train", "wines.csv", *QUICK)
    for words, text in {
        "predict runs/wines-001 few.csv": "column 'ash' is missing",
        "predict runs/wines-001 empty.csv": "empty.csv is empty",
        "predict runs/wines-001 wines.csv --out no/p.csv": "cannot write no/p.csv",
        "predict runs/wines-001 wines.csv --out runs": "cannot write runs: Is a directory",
        "sample runs/wines-001": "has no network of text",
        "train --resume runs/wines-001 --lr 1": "--resume takes its settings",
    }.items():
        found = gradlab(*words.split())
        assert (found.status, found.out, len(lines(found.err))) == (2, "", 1), words
        assert text in found.err
    (tmp_path / "runs" / "wines-001" / "result.json").write_text("{")
    assert "result.json is damaged" in gradlab("show", "runs/wines-001").err
    assert "result.json is damaged" in gradlab("train", "--resume", "runs/wines-001").err


def test_divergence_is_one_clear_line(gradlab, wines):
    found = gradlab("train", "wines.csv", *QUICK, "--lr", "1e30")
    assert (found.status, found.out) == (2, "")
    assert re.fullmatch(
        r"error: training diverged at update \d+, epoch 1 \(lr = .*\): the first tensor that is "
        r"not finite is .*; runs/wines-001 keeps the state of the last look, if there was one\n",
        found.err,
    )


def test_a_missing_extra_is_named_before_a_folder_is_made(gradlab, wines, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    found = gradlab("train", "wines.csv", "--tensorboard")
    assert (found.status, found.out) == (2, "")
    assert "pip install 'gradlab[tensorboard]'" in found.err
    assert not (tmp_path / "runs").exists()


def test_interrupted_before_there_is_a_folder(gradlab, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gradlab.cli.training.Experiment.create", stop)
    assert gradlab("train", "iris").status == 130


def test_other_failures_of_the_system_are_one_line(gradlab, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "there")

    monkeypatch.setattr("gradlab.cli.training.Experiment.create", full)
    assert gradlab("train", "iris") == (2, "", "error: No space left on device: there\n")


# --- as a process -------------------------------------------------------------------------------


def command(*words, launch=("-m", "gradlab"), **options):
    return subprocess.Popen(
        [sys.executable, *launch, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


LONG = ("train", "wines.csv", "--epochs", "2000", "--hidden", "4")


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.01)


def test_control_c_says_how_to_go_on(wines, tmp_path):
    # Where tests run with SIGINT ignored, as in the background of a shell, so would the child.
    heeding = ("-c", "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
               "from gradlab.cli import main; main()")  # fmt: skip
    process = command(*LONG, "-q", "--out", "my runs", cwd=tmp_path, launch=heeding)
    wait_for(tmp_path / "my runs" / "wines-001" / "log.jsonl")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err == "stopped; go on with: gradlab train --resume 'my runs/wines-001'\n"


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(wines, tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))"
    limited = ("-c", f"{limit}; from gradlab.cli import main; main()")
    words = ("train", "wines.csv", "--epochs", "100", "--hidden", "4", "-q")
    process = command(*words, cwd=tmp_path, launch=limited)
    out, err = process.communicate()
    assert (process.returncode, out, len(lines(err))) == (2, "", 1)
    run = tmp_path / "runs" / "wines-001"
    assert re.match(rf"error: cannot write runs/wines-001/[\w.]+: {os.strerror(errno.EFBIG)}", err)
    assert not [p for p in run.iterdir() if p.name.startswith(".")]
    resumed = command("train", "--resume", str(run), "-q")
    out, err = resumed.communicate()
    assert resumed.returncode == 0, err


def test_a_reader_that_has_seen_enough(tmp_path):
    process = command("list", "optimizers", cwd=tmp_path)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait() in (0, 1), err) == (True, "")


def test_a_terminal_shows_a_bar(wines, tmp_path):
    main, side = pty.openpty()
    words = ("train", "wines.csv", "--epochs", "3", "--hidden", "4")
    process = subprocess.Popen(
        [sys.executable, "-m", "gradlab", *words],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "80", "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=side,
    )
    os.close(side)
    shown = b""
    try:
        while chunk := os.read(main, 4096):
            shown += chunk
    except OSError:  # the other side was closed
        pass
    os.close(main)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    *_, last, scoring = text.strip().splitlines()
    assert re.search(r"epoch 3/3 ━+ loss [\d.]+  val [\d.]+  accuracy [\d.]+ 00:00", last)
    assert scoring.endswith("scoring all rows")


def test_class_weights_and_label_smoothing(gradlab, wines, tmp_path):
    run = gradlab("train", "wines.csv", "--class-weight", "balanced", "--label-smoothing", "0.1",
                  "--epochs", "2", "--hidden", "4")  # fmt: skip
    assert run.status == 0
    settings = json.loads((tmp_path / "runs/wines-001/config.json").read_text())["settings"]
    assert (settings["class_weight"], settings["label_smoothing"]) == ("balanced", 0.1)
    for words, message in [
        (("--class-weight", "1,2,3"), "balanced or 2 numbers of 0 or above"),
        (("--class-weight", "heavy"), "got 'heavy'"),
        (("--label-smoothing", "1.5"), "label_smoothing must be from 0 to 1, got 1.5"),
        (("--loss", "hinge", "--label-smoothing", "0.1"), "not to classification with hinge"),
        (("--target", "ash", "--class-weight", "balanced"), "is a regression"),
    ]:
        refused = gradlab("train", "wines.csv", *words)
        assert (refused.status, refused.out) == (2, "")
        assert message in refused.err


def test_balanced_classes_count_the_same():
    config = Config("iris", class_weight="balanced", label_smoothing=0.2)
    rows = SimpleNamespace(
        task="classification", outputs=3, name="rows",
        train=SimpleNamespace(y=np.array([0, 0, 0, 0, 1, 1, 2])),
    )  # fmt: skip
    loss = make_loss(config, rows)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=rows.train.y)
    np.testing.assert_allclose(loss.weight, expected)
    assert loss.label_smoothing == 0.2
