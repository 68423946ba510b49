"""The `gateway` command, also as `python -m gateway`."""

from gateway.http import collector, plain_imports

collector.pause()  # `cli/main.py` resumes it, once the command is imported
plain_imports.prepare()

from gateway.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
