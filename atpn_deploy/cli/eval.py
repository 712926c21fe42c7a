"""atpn-eval: the paper's measurements, on a checkpoint or on any exported file."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.errors import ArtifactError, ConfigError, MissingToolError

if TYPE_CHECKING:
    from rich.console import Console

    from atpn_deploy.evaluation.network import Network
    from atpn_deploy.evaluation.results import Evaluation
    from atpn_deploy.evaluation.trials import Trial

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def evaluate(
    data: Annotated[
        Path, typer.Option(help="folder that holds the data sets: WFLW, AFLW2000, WIDER, ...")
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help=".safetensors checkpoints, exported files, and networks of others described by "
            "a .peer.json",
            metavar="[FILE]...",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="without a FILE, these shipped weights: atpn-lite or atpn")
    ] = "atpn-lite",
    tasks: Annotated[
        str | None,
        typer.Option(
            help="of alignment, pose, tracking and video, with commas between; "
            "all that there is data for unless given"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="folder for JSON, Markdown and plots", metavar="DIR")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite existing files")] = False,
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads", min=1)] = 1,
) -> None:
    """Measure each FILE on every data set in the folder, the paper's figures beside it.

    What int8 costs: atpn-eval atpn-lite.safetensors atpn-lite-int8.tflite --data DIR; the tables
    then end in the differences from the first FILE of each network.
    """
    from rich.console import Console

    from atpn_deploy.evaluation.bars import Bars
    from atpn_deploy.evaluation.delivery import check_folder, deliver
    from atpn_deploy.evaluation.naming import labels_of, pairs_by_origin
    from atpn_deploy.evaluation.rendering import to_terminal
    from atpn_deploy.evaluation.sources import trials_in
    from atpn_deploy.evaluation.tables import tables_of
    from atpn_deploy.evaluation.trials import run_trials

    if output is not None:
        check_folder(output, force=force)
    chosen = None if tasks is None else _tasks(tasks)
    _require_folder(data)
    _require_opencv()
    with ExitStack() as stack:
        networks = _open(files or [], model, runtime, threads, stack)
        trials = trials_in(data, chosen)
        errors = Console(stderr=True)
        with Bars(errors) as bars:
            evaluations = run_trials(networks, trials, bars)
        _say_what_is_left_out(networks, trials, errors)
    pairs = pairs_by_origin(labels_of(evaluations), [network.made_from for network in networks])
    _say_what_is_of_other_weights(networks, pairs, evaluations, errors)
    tables = tables_of(evaluations, pairs)
    console = Console()
    for table in tables:
        console.print(to_terminal(table))
        console.print()
    if output is not None:
        written = deliver(evaluations, tables, output)
        console.print(f"wrote {len(written)} files into {output}", soft_wrap=True, highlight=False)


def _tasks(text: str) -> list[str]:
    """The named tasks, in the report's order."""
    from atpn_deploy.evaluation.trials import TASKS

    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in TASKS]
    if unknown or not names:
        came = repr(unknown[0]) if unknown else "nothing"
        raise ConfigError(f"--tasks got {came}; choose of {', '.join(TASKS)}, commas between")
    return [task for task in TASKS if task in names]


def _require_folder(data: Path) -> None:
    if not data.is_dir():
        raise ConfigError(f"--data {data} is not a folder; give the one that holds the data sets")


def _require_opencv() -> None:
    if find_spec("cv2") is None:
        raise MissingToolError(
            "reading images needs OpenCV: pip install -c constraints.txt 'atpn-deploy[eval]'"
        )


def _open(
    files: list[Path], model: str, runtime: str, threads: int, stack: ExitStack
) -> list[Network]:
    """Every file as a network; the shipped checkpoint of `model` where there is none."""
    from atpn_deploy.evaluation.network import of_checkpoint
    from atpn_deploy.weights import open_checkpoint, shipped

    checkpoints = [path for path in files if path.suffix == ".safetensors"]
    if checkpoints or not files:
        _prepare_torch(threads)
    if not files:
        return [of_checkpoint(shipped(model))]
    return [
        of_checkpoint(open_checkpoint(path))
        if path in checkpoints
        else _open_exported(path, runtime, threads, stack)
        for path in files
    ]


def _prepare_torch(threads: int) -> None:
    try:
        import torch
    except ImportError as error:
        raise MissingToolError(
            "a checkpoint needs PyTorch: pip install -c constraints.txt 'atpn-deploy[eval]'; "
            "without it give exported files"
        ) from error
    torch.set_num_threads(threads)


def _open_exported(path: Path, runtime: str, threads: int, stack: ExitStack) -> Network:
    from atpn_deploy.evaluation.network import of_session
    from atpn_deploy.evaluation.peers import SUFFIX, of_peer
    from atpn_exporters.artifact_files import sha256_of
    from atpn_exporters.opening import open_file
    from atpn_exporters.registry import TARGETS
    from atpn_exporters.session import SessionOptions

    if path.name.endswith(SUFFIX):
        return of_peer(path, threads)
    suffixes = sorted({target.suffix for target in TARGETS.values()})
    if path.exists() and path.suffix not in suffixes:
        raise ArtifactError(
            f"{path} ends in {path.suffix or 'nothing'!r}; expected .safetensors, "
            f"{' or '.join((', '.join(suffixes[:-1]), suffixes[-1]))}"
        )
    session = stack.enter_context(open_file(path, SessionOptions(threads, runtime)))
    return of_session(session, path, sha256_of(path), _made_from(path))


def _made_from(path: Path) -> str:
    """The hash of the checkpoint that a file was exported from; empty where it does not say."""
    from atpn_exporters.opening import identify

    try:
        return identify(path).checkpoint_sha256
    except ArtifactError:  # it runs, and carries no metadata
        return ""


def _say_what_is_of_other_weights(
    networks: list[Network],
    pairs: list[tuple[str, str]],
    evaluations: list[Evaluation],
    console: Console,
) -> None:
    """A difference between files of two checkpoints is not what quantisation costs: say so."""
    from atpn_deploy.evaluation.naming import labels_of

    origin = dict(zip(labels_of(evaluations), (n.made_from for n in networks), strict=True))
    for one, other in pairs:
        if origin[one] and origin[other] and origin[one] != origin[other]:
            console.print(
                f"{one} was exported from another checkpoint ({origin[one][:12]}...) than {other} "
                f"({origin[other][:12]}...): their differences are not those of the export alone",
                soft_wrap=True,
                highlight=False,
            )


def _say_what_is_left_out(networks: list[Network], trials: list[Trial], console: Console) -> None:
    """A file with landmarks alone has no rows for the other tasks: say so."""
    from atpn_deploy.evaluation.trials import able

    for network in networks:
        missed = sorted({trial.task for trial in trials if not able(network, trial.task)})
        if missed:
            console.print(
                f"{network.name} computes only landmarks: not measured for {', '.join(missed)}",
                soft_wrap=True,
                highlight=False,
            )


main = main_of(app)

if __name__ == "__main__":
    main()
