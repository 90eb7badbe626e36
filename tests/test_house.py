"""The house rules, as far as a machine can tell: the one arrow, purity, docstrings."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lutkit"
MODULES = sorted(PACKAGE.rglob("*.py"))
PURE_ROOMS = {"color", "lut", "measure", "distort", "ab"}
BYTE_PATH = PURE_ROOMS | {"lutfiles", "photos", "dataset", "engine", "synthesis", "statistics"}
PURE = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in PURE_ROOMS]
NO_BLAS = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in BYTE_PATH]
KERNELS = PACKAGE / "lut" / "kernels.py"

IMPURE = {
    "logging",
    "random",
    "time",
    "datetime",
    "pathlib",
    "io",
    "sys",
    "subprocess",
    "tempfile",
    "secrets",
}
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
THREADED = {"linalg", "einsum", "dot", "vdot", "inner", "matmul", "tensordot", "matvec", "vecmat"}
SEEDED = {"Generator", "PCG64", "SeedSequence"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path):
    return path.relative_to(ROOT).as_posix()


def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def _lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def _is_cli(path):
    return path.relative_to(PACKAGE).parts[0] == "cli"


every_module = pytest.mark.parametrize("path", MODULES, ids=_name)


def _dotted(node):
    """`a.b.c` of a name or an attribute of names, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    inner = _dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner else ""


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_false(node):
    return isinstance(node, ast.Constant) and node.value is False


# What a rule finds in a tree: lines and reasons.


def impurities(tree):
    """Files, clocks, environment, terminals, logs and global randomness."""
    for name in _imports(tree):
        if name.split(".")[0] in IMPURE:
            yield f"imports {name}"
    for node in ast.walk(tree):
        name = _dotted(node.func) if isinstance(node, ast.Call) else ""
        if name in ("print", "open", "input", "np.save", "np.load", "np.fromfile", "os.getenv"):
            yield f"{node.lineno}: calls {name}"
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            if name.startswith("np.random.") and name.split(".")[2] not in SEEDED:
                yield f"{node.lineno}: uses {name}"
            if name == "os.environ":
                yield f"{node.lineno}: uses {name}"


def blas_calls(tree):
    """Products whose bits change with the number of threads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            yield f"{node.lineno}: @"
        if isinstance(node, ast.Attribute) and (node.attr in THREADED):
            yield f"{node.lineno}: {node.attr}"
        if (
            isinstance(node, ast.keyword)
            and node.arg in ("fastmath", "parallel")
            and not _is_false(node.value)
        ):
            yield f"{node.value.lineno}: {node.arg}"


def pickles(tree):
    """Whatever could run code from a file."""
    for name in _imports(tree):
        if name.split(".")[0] in UNPICKLING:
            yield f"imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func) in ("eval", "exec"):
            yield f"{node.lineno}: calls {_dotted(node.func)}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and not _is_false(node.value):
            yield f"{node.value.lineno}: allow_pickle"


def open_ended(tree):
    """Functions that take any keyword: a misspelled option would be swallowed."""
    for node in ast.walk(tree):
        if isinstance(node, Function) and node.args.kwarg:
            yield f"{node.lineno}: {node.name} takes **{node.args.kwarg.arg}"


def undocumented(tree, lines):
    """Public modules, classes, functions and methods without a docstring; commands may waive one."""
    if not ast.get_docstring(tree):
        yield "the module has no docstring"
    yield from _undocumented_in(tree, lines)


def _undocumented_in(owner, lines):
    for node in owner.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            if not ast.get_docstring(node) and "noqa: D103" not in lines[node.lineno - 1]:
                yield f"{node.lineno}: {node.name} has no docstring"
            if isinstance(node, ast.ClassDef):
                yield from _undocumented_in(node, lines)


def _has_loops(tree):
    return "lutkit.compiled" in _imports(tree)


def _modules_of_names(tree):
    """Where what a file imports from lutkit is written, by the name that it goes by there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lutkit"):
            for alias in node.names:
                inner = PACKAGE.parent / f"{node.module}.{alias.name}".replace(".", "/")
                own = inner if inner.with_suffix(".py").exists() else inner.parent
                yield alias.asname or alias.name, own.with_suffix(".py")


def foreign_to_loops(tree):
    """What compiled loops name that is written in a file of lutkit's without loops."""
    homes = dict(_modules_of_names(tree))
    for loop in ast.walk(tree):
        if isinstance(loop, Function) and "compiled" in map(_dotted, loop.decorator_list):
            for node in (node for statement in loop.body for node in ast.walk(statement)):
                home = homes.get(node.id) if isinstance(node, ast.Name) else None
                if home and not _has_loops(_tree(home)):
                    yield f"{node.lineno}: {loop.name} names {node.id} of {_name(home)}"


# The rules held against every file.


def test_the_one_arrow():
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@every_module
def test_files_say_what_they_own(path):
    assert path.stem not in ("utils", "util", "helpers", "helper", "common", "base", "manager", "misc")


@every_module
def test_options_are_named(path):
    assert list(open_ended(_tree(path))) == []


@pytest.mark.parametrize("path", PURE, ids=_name)
def test_pure_rooms_are_pure(path):
    assert list(impurities(_tree(path))) == []


@pytest.mark.parametrize("path", NO_BLAS, ids=_name)
def test_the_byte_path_has_no_blas(path):
    assert list(blas_calls(_tree(path))) == []


@every_module
def test_nothing_unpickles(path):
    assert list(pickles(_tree(path))) == []


@every_module
def test_public_names_are_documented(path):
    assert list(undocumented(_tree(path), _lines(path))) == []


@every_module
def test_loops_are_compiled_in_one_way(path):
    if path in (PACKAGE / "compiled.py", KERNELS):  # one decorates, the other adds instructions of its own
        pytest.skip("at home with numba")
    assert not [name for name in _imports(_tree(path)) if name.split(".")[0] == "numba"]


@every_module
def test_loops_name_nothing_of_files_without_loops(path):
    """A change there would leave stale what is kept of them on disk (`lutkit/compiled.py`)."""
    assert list(foreign_to_loops(_tree(path))) == []


# The rules themselves, shown failing.


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (impurities, "import logging"),
        (impurities, "from time import monotonic"),
        (impurities, "print(1)"),
        (impurities, "with open('x') as f: pass"),
        (impurities, "import os\nx = os.environ['A']"),
        (impurities, "x = np.random.rand(3)"),
        (impurities, "x = np.random.default_rng()"),
        (blas_calls, "x = a @ b"),
        (blas_calls, "a @= b"),
        (blas_calls, "x = np.einsum('ij', a)"),
        (blas_calls, "x = a.dot(b)"),
        (blas_calls, "x = np.linalg.inv(a)"),
        (blas_calls, "f = njit(fastmath=True)(f)"),
        (pickles, "import pickle"),
        (pickles, "from pickle import loads"),
        (pickles, "x = np.load('x', allow_pickle=True)"),
        (pickles, "eval('1')"),
        (open_ended, "def f(**options): pass"),
        (foreign_to_loops, "from lutkit.lut.loops import WHITE\n@compiled\ndef f(x): return x + WHITE[0]"),
        (foreign_to_loops, "from lutkit.lut import loops\n@compiled\ndef f(x): return loops.WHITE[x]"),
    ],
)
def test_each_rule_can_fail(rule, code):
    assert list(rule(ast.parse(code)))


NO_DOC = ["x = 1", '"""Doc."""\ndef f(): pass', '"""Doc."""\nclass A:\n    """Doc."""\n    def f(self): pass']


@pytest.mark.parametrize("code", NO_DOC)
def test_a_missing_docstring_is_found(code):
    assert list(undocumented(ast.parse(code), code.splitlines()))


# Importing is quick because it loads nothing.


@pytest.mark.parametrize(
    ("statement", "barred"),
    [
        ("import lutkit", {"torch", "numba", "numpy", "colour", "webdataset", "PIL", "scipy", "skimage"}),
        ("import lutkit; lutkit.__version__; dir(lutkit)", {"torch", "numba", "numpy", "PIL"}),
        ("from lutkit import apply, Lut3D, LutkitError", {"torch", "colour", "webdataset", "PIL"}),
        ("import lutkit.distort.sampling", {"torch", "colour", "webdataset", "PIL", "skimage"}),
    ],
)
def test_importing_loads_nothing_heavy(statement, barred):
    code = f"{statement}\nimport sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert "lutkit" in loaded
    assert sorted(loaded & barred) == []


IMPORT_ALL = """
import importlib, sys
from numba.core.dispatcher import Dispatcher

def refuse(loop, *_, **__):
    raise SystemExit(f"{loop.py_func.__module__}.{loop.py_func.__name__} ran")

Dispatcher._compile_for_args = refuse
sys.modules.update(dict.fromkeys(("torch", "webdataset", "diffusers")))  # they take seconds
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert "None in sys.modules" in str(error)
"""


def test_importing_runs_no_loop():
    """The first one takes half a second of every process."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_every_public_name_can_be_had():
    import lutkit

    for name in lutkit.__all__:
        assert getattr(lutkit, name) is not None
    assert set(lutkit.__all__) <= set(dir(lutkit))
    with pytest.raises(AttributeError, match="no attribute 'glow'"):
        lutkit.glow  # noqa: B018
