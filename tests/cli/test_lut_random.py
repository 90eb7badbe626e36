"""`lutkit lut random`: its files; each mistake gives one line."""

import json

import pytest


def test_the_command_writes_them_and_keeps_what_is_there(tmp_path, lutkit_):
    out = tmp_path / "luts"
    run = lutkit_("lut", "random", "--n", "3", "--seed", "2", "--out", str(out), "--json")
    assert run.code == 0, run.err
    rows = json.loads(run.out)
    assert {row["file"] for row in rows} == {path.name for path in out.glob("*.cube")}
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = lutkit_("lut", "random", "--n", "3", "--seed", "2", "--out", str(out))
    assert again.code == 2
    assert "exists already; give --overwrite or another --out" in again.err
    assert lutkit_("lut", "random", "--n", "3", "--seed", "2", "--out", str(out), "--overwrite").code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_names_and_labels_are_never_shortened(tmp_path, lutkit_):
    run = lutkit_("lut", "random", "--n", "5", "--lossy", "0", "--out", str(tmp_path))
    assert run.code == 0, run.err
    rows = run.out.splitlines()[1:6]
    assert [row.split()[0] for row in rows] == sorted(path.name for path in tmp_path.glob("*.cube"))
    assert [row.split()[-1] for row in rows] == ["recoverable"] * 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kind", "both"], "--kind: no kind 'both'; choose any, curves, cubes"),
        (
            ["--severity", "4-20"],
            "--severity: '4-20' is no range; give the least and the largest, as in 4,20",
        ),
        (["--severity", "20,4"], "severity is (20.0, 4.0), but must be two numbers"),
        (["--families", "exposure=x"], "--families: 'exposure=x' is no share of a family"),
        (["--families", "exposures=1"], "unknown family 'exposures'; did you mean 'exposure'?"),
        (["--lossy", "2"], "lossy is 2.0, but must be a share, 0..1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, lutkit_, arguments, said):
    run = lutkit_("lut", "random", "--out", str(tmp_path / "x"), *arguments)
    assert run.code == 2
    assert said in run.err
    assert run.err.count("\n") == 1
    assert not (tmp_path / "x").exists()
