"""`gateway dev`."""

from harness.command import run


def test_dev_refuses_to_run_beside_a_live_key(tmp_path):
    result = run("dev", cwd=tmp_path, STRIPE_SECRET_KEY="sk_live_hunter2")
    assert result.returncode == 1
    assert "live key" in result.stdout
    assert "hunter2" not in result.stdout
