"""``gradlab export``: what is written does what ``gradlab predict`` does."""

import csv
import json

import numpy as np
import pytest

from gradlab.interop import open_weights


@pytest.fixture
def trained(gradlab, wines):
    assert gradlab("train", wines, "--epochs", "2", "--hidden", "4", "-q").status == 0
    return "runs/wines-001"


def test_weights(gradlab, trained, tmp_path):
    pytest.importorskip("torch")
    for name in ("w.safetensors", "w.pt"):
        done = gradlab("export", trained, name)
        assert done == (0, f"{name}: 22 parameters\n", "")
        weights = open_weights(tmp_path / name)
        assert {k: v.shape for k, v in weights.items()} == {
            "0.weight": (4, 2),
            "0.bias": (4,),
            "2.weight": (2, 4),
            "2.bias": (2,),
        }
    assert gradlab("export", trained, "W.SAFETENSORS").status == 0
    for name in ("w.safetensors", "W.SAFETENSORS"):
        assert json.loads(open_weights(tmp_path / name).metadata["preprocess"])


def test_onnx_predicts_the_same(gradlab, trained, wines, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from gradlab.data import Preprocess, read

    assert gradlab("export", trained, "w.onnx").status == 0
    session = onnxruntime.InferenceSession(tmp_path / "w.onnx")
    about = session.get_modelmeta().custom_metadata_map
    preprocess = Preprocess.from_json(json.loads(about["preprocess"]))
    (logits,) = session.run(None, {"x": preprocess.apply(read(wines).table)})
    predicted = gradlab("predict", trained, wines)
    kinds = [row["kind"] for row in csv.DictReader(predicted.out.splitlines())]
    np.testing.assert_array_equal(preprocess.target.decode(logits.argmax(axis=1)), kinds)


def test_errors(gradlab, trained, tmp_path):
    assert "must end with .onnx or one of .safetensors" in gradlab("export", trained, "w.h5").err
    assert "batch is for .onnx files" in gradlab("export", trained, "w.pt", "--batch", "2").err
    assert "cannot write none/w.safetensors" in gradlab("export", trained, "none/w.safetensors").err
    assert "is not a run folder" in gradlab("export", "nowhere", "w.pt").err
    assert not list(tmp_path.glob("w.*"))
