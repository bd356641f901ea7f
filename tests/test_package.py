import ast
import os
import re
import resource
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import trovid

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "trovid"

ROOMS = (
    "errors",
    "files",
    "progress",
    "allocator",
    "bounded_yaml",
    "recipes",
    "structures",
    "storage",
    "ops",
    "nn",
    "backbones",
    "detectors",
    "zoo",
    "video",
    "datasets",
    "tracking",
    "inference",
    "evaluation",
    "viz",
    "runs",
    "redaction",
    "export",
    "training",
    "experiments",
    "benchmarks",
    "cli",
)
FORBIDDEN = {
    "structures": {"files", "progress"},
    "recipes": {"structures"},
    "ops": {"errors", "files", "progress", "structures", "recipes", "storage"},
    "nn": {"errors", "files", "progress", "structures", "recipes", "storage"},
    "video": {"nn", "backbones", "detectors", "zoo", "recipes", "storage"},
    "datasets": {"nn", "backbones", "detectors", "zoo", "recipes", "storage"},
}


def room(module: str) -> str | None:
    """The room of a dotted module name within trovid; None for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def imported_modules(path: Path) -> list[str]:
    """Modules of trovid that a file imports anywhere, also in functions and for types alone."""
    package = ["trovid", *path.relative_to(SOURCE).parts[:-1]]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            whole = module == "trovid"
            found += [f"trovid.{alias.name}" for alias in node.names] if whole else [module]
    return [name for name in found if name.split(".")[0] == "trovid"]


def wrong_imports(path: Path) -> list[str]:
    relative = path.relative_to(SOURCE)
    importer = relative.parts[0].removesuffix(".py")
    allowed = set(ROOMS[: ROOMS.index(importer) + 1]) - FORBIDDEN.get(importer, set())
    return [
        f"{relative} imports {name}"
        for name in imported_modules(path)
        if room(name) in ROOMS and room(name) not in allowed
    ]


def test_public_names():
    assert trovid.__all__ == [
        "Detections",
        "GroundTruth",
        "Predictor",
        "TrovidError",
        "Video",
        "load",
        "nn",
        "ops",
    ]
    for name in trovid.__all__:
        assert getattr(trovid, name) is not None
        assert name in dir(trovid)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        trovid.lode  # noqa: B018


def test_public_names_of_ops_and_nn():
    assert {
        "temporal_roi_align",
        "most_similar_roi_align",
        "temporal_attention",
        "PackedSupport",
    } <= {*trovid.ops.__all__}
    assert {"TemporalRoIAlign", "LevelPooler", "RoIAlign", "SelsaAttention"} <= {*trovid.nn.__all__}


def test_every_room_is_known():
    names = {
        path.name.removesuffix(".py")
        for path in SOURCE.iterdir()
        if path.suffix == ".py" or any(path.glob("*.py"))
    }
    assert names - {"__init__", "__main__"} == set(ROOMS)


def test_files_bear_plain_nouns():
    refused = {"choice", "dispatch", "execution", "facts", "numbers", "outputs", "plan", "words"}
    files = [*SOURCE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert not [path for path in files if path.stem.removeprefix("test_") in refused]
    assert not [path for path in files if "own" in path.stem.split("_")]


def test_imports_go_upward_only():
    files = [
        path for path in sorted(SOURCE.rglob("*.py")) if path.parent != SOURCE or path.stem in ROOMS
    ]
    assert len(files) > 30
    assert [line for path in files for line in wrong_imports(path)] == []


FAMILIES = {path.name for path in (SOURCE / "detectors").iterdir() if any(path.glob("*.py"))}
INSIDE = {*FAMILIES, "Detector", "MaskTrackRCNN", "Support", "from_torchvision"}
"""A family's modules, and what `trovid.detectors` offers of them."""
MAY_LOOK_INSIDE = {
    "benchmarks/video_parts.py": "times the parts of Faster R-CNN one by one",
    "export/graphs.py": "traces the parts of detectors with proposals between tensors",
    "inference/loading.py": "takes torchvision's modules, which one family knows",
}


def families_imported(path: Path) -> list[str]:
    """What a file imports of one family of detectors, in place of their contract."""
    text, names = path.read_text(encoding="utf-8"), []
    for node in ast.walk(ast.parse(text)) if "detectors" in text else ():
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [
        name
        for name in names
        if name.startswith("trovid.detectors.") and name.split(".")[2] in INSIDE
    ]


def test_only_detectors_know_how_a_detector_works_inside():
    files = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    found = {
        name: families_imported(path)
        for name, path in files.items()
        if not name.startswith("detectors/")
    }
    assert {name: imported for name, imported in found.items() if imported}.keys() == (
        MAY_LOOK_INSIDE.keys()
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from trovid.detectors.faster_rcnn.support import Support", True),
        ("import trovid.detectors.masktrack.detector", True),
        ("from trovid.detectors import Detector", True),
        ("from trovid.detectors import VideoDetector, build_detector", False),
        ("from trovid.detectors.contract import Support", False),
    ],
)
def test_a_look_inside_a_family_is_found(tmp_path, line, found):
    path = tmp_path / "x.py"
    path.write_text(line)
    assert bool(families_imported(path)) == found


COCO_KEYS = {"bbox", "category_id", "image_id", "iscrowd"}


def coco_keys_read(path: Path) -> set[str]:
    """Keys of COCO's JSON that a file reads or asks for, not those that it only writes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    written = {key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    strings = {node for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {node.value for node in strings - written if isinstance(node.value, str)} & COCO_KEYS


def test_only_datasets_read_the_keys_of_coco():
    files = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    readers = {name for name, path in files.items() if coco_keys_read(path)}
    assert {"datasets/coco.py", "datasets/coco_results.py"} <= readers
    assert not [name for name in readers if not name.startswith("datasets/")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('x = row["bbox"]', {"bbox"}),
        ('x = row.get("category_id", 0)', {"category_id"}),
        ('for key in ("bbox", "score"): pass', {"bbox"}),
        ('x = {"image_id": 1, "bbox": box}', set()),
    ],
)
def test_a_reader_of_coco_s_keys_is_found(tmp_path, line, found):
    path = tmp_path / "x.py"
    path.write_text(line)
    assert coco_keys_read(path) == found


def dotted(path: Path) -> str:
    parts = ["trovid", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_imported(path: Path, known: Mapping[str, Path]) -> set[str]:
    """Modules of trovid that are imported when this one is, not those for types alone."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    found = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If):
            nodes += node.orelse + ([] if "TYPE_CHECKING" in ast.dump(node.test) else node.body)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else str(node.module) for name in names}
    return found & known.keys()


def test_no_file_imports_itself_by_way_of_others():
    known = {dotted(path): path for path in SOURCE.rglob("*.py")}
    graph = {name: files_imported(path, known) for name, path in known.items()}
    assert sum(map(len, graph.values())) > 500
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def flags_in_errors(path: Path) -> list[str]:
    """What a file raises that names a flag of the command line outside a whole command."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Raise):
            continue
        parts = (part for part in ast.walk(node) if isinstance(part, ast.Constant))
        message = "".join(part.value for part in parts if isinstance(part.value, str))
        if re.search(r"--[a-z]", re.sub(r"`?trovid [a-z]+ [^`]*`?", "", message)):
            found.append(f"{path.relative_to(SOURCE)}: {message}")
    return found


def test_the_library_names_arguments_and_not_flags():
    """The command line makes flags of them (`trovid.cli.messages`)."""
    files = [path for path in SOURCE.rglob("*.py") if "cli" not in path.parts]
    assert [line for path in files for line in flags_in_errors(path)] == []


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("ops/x.py", "from trovid.structures import Video"),
        ("ops/x.py", "import trovid.nn"),
        ("nn/x.py", "def f():\n    from ..detectors import building"),
        ("datasets/x.py", "from trovid.recipes.schema import Recipe"),
        ("datasets/x.py", "from trovid import detectors"),
        ("inference/x.py", "from trovid.viz.drawing import draw"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, monkeypatch, place, line):
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    path = tmp_path / place
    path.parent.mkdir()
    path.write_text(line)
    assert len(wrong_imports(path)) == 1


@pytest.mark.parametrize("arguments", [["-c", "import trovid"], ["-m", "trovid", "--help"]])
def test_quick_and_without_torch(arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = done.stderr.splitlines()
    imported = {line.split("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "trovid" in imported
    assert not imported & {"torch", "numpy", "matplotlib", "av", "scipy"}
    assert [line for line in lines if not line.startswith("import time:")] == []
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_version_and_licence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
    done = subprocess.run(
        [sys.executable, "-m", "trovid", "--version"], capture_output=True, text=True
    )
    assert done.stdout.strip() == trovid.__version__


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_working_tree_is_small():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sizes = [os.path.getsize(ROOT / name) for name in listed.split("\0") if (ROOT / name).is_file()]
    assert sum(sizes) < 52 * 2**20


@pytest.mark.slow
def test_wheel_holds_what_is_needed_at_run_time(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        f"trovid/{path.relative_to(SOURCE).as_posix()}"
        for pattern in ("*.py", "*.yaml", "*.json", "*.safetensors", "py.typed")
        for path in SOURCE.rglob(pattern)
    }
    assert needed <= names
    assert "trovid/py.typed" in names
