"""The `gateway` command, also as `python -m gateway`."""

from gateway.http import collector

collector.pause()  # `cli/main.py` resumes it, once the command is imported

from gateway.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
