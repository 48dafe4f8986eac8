"""``training.generate`` called in this process."""

from training.generate import main


def call(capsys, *arguments) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``python -m training.generate ARGUMENTS``."""
    capsys.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err
