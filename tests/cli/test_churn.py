import json

from forbear.cli.main import run


def write(tmp_path, rows):
    path = tmp_path / "repeats.csv"
    path.write_text("task_id,arm,seed,success\n" + "\n".join(",".join(map(str, row)) for row in rows))
    return str(path)


REPEATS = [(f"t{i}", "baseline", seed, int(i % 2 == 0 if seed else i % 4 == 0)) for i in range(20) for seed in (0, 1)]


def test_repeats_of_one_agent(tmp_path, capsys):
    path = write(tmp_path, REPEATS)
    assert run(["churn", path]) == 0
    # Tasks 2, 6, 10, 14, 18 flip: 5 of 20.
    assert "flip rate 25.0 %" in capsys.readouterr().out
    assert run(["churn", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["tasks"], found["runs"], found["net"]) == ("forbear-churn-1", 20, 40, {})


def test_other_arms_are_shown_net_of_churn(tmp_path, capsys):
    treated = [(f"t{i}", "critic", seed, 1) for i in range(20) for seed in (0, 1)]
    assert run(["churn", write(tmp_path, REPEATS + treated), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # p = 25/40, so r0 = .25/(2·.625) = .2; the critic recovers everything.
    assert abs(found["net"]["critic"]["recovery_rate"] - 0.8) < 1e-12
    assert run(["churn", write(tmp_path, REPEATS + treated)]) == 0
    assert "'critic' net of churn: recovery +80.0 pp" in capsys.readouterr().out


def test_what_cannot_be_measured_is_one_line(tmp_path, capsys):
    assert run(["churn", write(tmp_path, [row for row in REPEATS if row[2] == 0])]) == 2
    assert "run twice" in capsys.readouterr().err
    assert run(["churn", write(tmp_path, REPEATS), "--arm", "x"]) == 2
    assert "there is no arm 'x'" in capsys.readouterr().err


def test_columns_have_the_names_that_they_have(tmp_path, capsys):
    path = tmp_path / "repeats.csv"
    rows = [",".join(map(str, row)) for row in REPEATS]
    path.write_text("instance,who,trial,resolved\n" + "\n".join(rows))
    names = ["--task-col", "instance", "--arm-col", "who", "--seed-col", "trial", "--success-col", "resolved"]
    assert run(["churn", str(path), *names]) == 0
    assert "flip rate 25.0 %" in capsys.readouterr().out
    path.write_text("instance,who,trial,score\n" + "\n".join(f"{row.rpartition(',')[0]},0.{row[-1]}" for row in rows))
    assert run(["churn", str(path), *names[:-1], "score", "--threshold", "0.1"]) == 0
    assert "flip rate 25.0 %" in capsys.readouterr().out
