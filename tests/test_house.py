"""The house rules, as far as a machine can tell: the one arrow, purity, docstrings, one home a name."""

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


def paths_of_names(tree):
    """Paths made of a shard's name, which may stand in a stranger's file, without a check of that name."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Div)
            and isinstance(node.right, ast.JoinedStr)
        ):
            text = ast.unparse(node.right)[2:-1]
            if (
                text.endswith(".tar")
                or "shards" in ast.unparse(node.left)
                or "records" in ast.unparse(node.left)
            ):
                yield f"{node.lineno}: {ast.unparse(node)}"


def parsers(tree):
    """What parses JSON or TOML by itself, and so has its own idea of what may be wrong with it."""
    for node in ast.walk(tree):
        name = _dotted(node.func) if isinstance(node, ast.Call) else ""
        if name in ("json.load", "json.loads", "tomllib.load", "tomllib.loads"):
            yield f"{node.lineno}: calls {name}"


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
            overloads = any(_dotted(one) == "overload" for one in node.decorator_list)  # the last one has it
            if not (overloads or ast.get_docstring(node) or "noqa: D103" in lines[node.lineno - 1]):
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


def _aliases(tree):
    """What names of types stand for, `Box: TypeAlias = tuple[int, str]`, by name."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and _dotted(node.annotation) == "TypeAlias":
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            yield node.targets[0].id, node.value


def _unlike_tuples(annotation, aliases):
    """The tuples among the types that an annotation allows whose items are of several types."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.BinOp):
        yield from _unlike_tuples(annotation.left, aliases)
        yield from _unlike_tuples(annotation.right, aliases)
    elif isinstance(annotation, ast.Name) and annotation.id in aliases:
        others = {name: meant for name, meant in aliases.items() if name != annotation.id}
        yield from _unlike_tuples(aliases[annotation.id], others)
    elif isinstance(annotation, ast.Subscript) and _dotted(annotation.value) == "tuple":
        items = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else []
        kinds = {ast.unparse(item) for item in items} - {"..."}
        if len(kinds) > 1:
            yield ast.unparse(annotation)


def tuple_parameters(tree):
    """Parameters that are tuples of unlike things: keywords or a dataclass would name them."""
    aliases = {}
    for name, home in _modules_of_names(tree):
        if home.exists():
            aliases |= {own: meant for own, meant in _aliases(_tree(home)) if own == name}
    aliases |= dict(_aliases(tree))
    for node in ast.walk(tree):
        if isinstance(node, Function):
            given = node.args
            for parameter in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                for found in _unlike_tuples(parameter.annotation, aliases):
                    yield f"{node.lineno}: {node.name}({parameter.arg}: {found})"


def unnamed_options(tree):
    """Options whose name Typer would make up itself: 0.27.2 takes the metavar for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func) == "typer.Option":
            given = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if not any(str(name).startswith("--") for name in given):
                yield f"{node.lineno}: {ast.unparse(node)[:60]}"


def public_names(tree):
    """The names without an underscore that a file defines at its top."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _is_family(tree):
    return any(
        isinstance(node, ast.AnnAssign) and _dotted(node.target) == "per_channel" and node.value is not None
        for owner in tree.body if isinstance(owner, ast.ClassDef) for node in owner.body
    )  # fmt: skip


def _functions(tree):
    return {node.name for node in tree.body if isinstance(node, Function)}


def names_with_two_homes(trees):
    """Public names that two files define, and the files.

    Aside from what each family of damage defines for itself; the function that is a command, which is called
    like what it calls, and its help; and a function on tensors (`nn/`) that is the twin of one on arrays.

    Args:
        trees: by path below the package.
    """
    homes = {}
    for path, tree in trees.items():
        is_command = path.parts[0] == "cli"
        for name in set() if _is_family(tree) else set(public_names(tree)):
            if not name.startswith("_") and not (is_command and name in ("HELP", path.stem)):
                homes.setdefault(name, []).append(path)
    for name, paths in sorted(homes.items()):
        on_tensors = [path for path in paths if path.parts[0] == "nn"]
        on_arrays = [path for path in paths if path.parts[0] in PURE_ROOMS]
        is_twin = len(on_tensors) == len(on_arrays) == 1 and len(paths) == 2
        if len(paths) > 1 and not (is_twin and all(name in _functions(trees[path]) for path in paths)):
            yield f"{name}: {', '.join(path.as_posix() for path in paths)}"


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
def test_names_of_shards_become_paths_in_one_place(path):
    if path == PACKAGE / "dataset" / "records.py":
        pytest.skip("that place")
    assert list(paths_of_names(_tree(path))) == []


@every_module
def test_documents_are_read_in_one_place(path):
    if path == PACKAGE / "documents.py":
        pytest.skip("that place")
    assert list(parsers(_tree(path))) == []


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


@every_module
def test_no_parameter_is_a_tuple_of_unlike_things(path):
    assert list(tuple_parameters(_tree(path))) == []


@pytest.mark.parametrize("path", [path for path in MODULES if _is_cli(path)], ids=_name)
def test_every_option_is_named_outright(path):
    assert list(unnamed_options(_tree(path))) == []


def test_every_public_name_has_one_home():
    trees = {path.relative_to(PACKAGE): _tree(path) for path in MODULES}
    assert list(names_with_two_homes(trees)) == []


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
        (paths_of_names, "x = folder / 'shards' / f'{name}.tar'"),
        (paths_of_names, "x = self.folder / f'shards/{name}.tar'"),
        (paths_of_names, "x = Path(folder, 'records') / f'{name}.json'"),
        (parsers, "x = json.loads(text)"),
        (parsers, "with path.open('rb') as file: x = tomllib.load(file)"),
        (pickles, "import pickle"),
        (pickles, "from pickle import loads"),
        (pickles, "x = np.load('x', allow_pickle=True)"),
        (pickles, "eval('1')"),
        (open_ended, "def f(**options): pass"),
        (tuple_parameters, "def f(a: tuple[int, str]): pass"),
        (tuple_parameters, "def f(*, a: 'tuple[int, str | None] | None' = None): pass"),
        (tuple_parameters, "A: TypeAlias = tuple[Path, int]\nclass B:\n    def f(self, a: A): pass"),
        (tuple_parameters, "from lutkit.synthesis.pairs import PairTuple\ndef f(a: PairTuple): pass"),
        (unnamed_options, "def f(vae: Annotated[str, typer.Option(metavar='VAE')] = ''): pass"),
        (foreign_to_loops, "from lutkit.lut.model import MIN_SIZE\n@compiled\ndef f(x): return x + MIN_SIZE"),
        (foreign_to_loops, "from lutkit.lut import model\n@compiled\ndef f(x): return x + model.MIN_SIZE"),
    ],
)
def test_each_rule_can_fail(rule, code):
    assert list(rule(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["def f(a: tuple[int, int], b: tuple[str, ...]): pass", "A = tuple[int, str]"]
)
def test_tuples_of_like_things_may_be_given(code):
    assert list(tuple_parameters(ast.parse(code))) == []


FAMILY = "class Glow:\n    per_channel: ClassVar[bool] = True\n"


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (("lut/a.py", "def f(): pass"), ("color/b.py", "def f(): pass"), True),
        (("lut/a.py", "class A: pass"), ("nn/b.py", "A = 1"), True),
        (("lut/a.py", "A: int = 1"), ("photos/b.py", "A, B = 1, 2"), True),
        (("cli/a.py", "def b(): pass"), ("lut/b.py", "def b(): pass"), True),
        (("distort/glow.py", f"{FAMILY}GAIN = 1"), ("lut/a.py", "class Glow: pass"), False),
        (("lut/a.py", "_f = 1"), ("color/b.py", "_f = 1"), False),
        (("color/a.py", "def f(): pass"), ("nn/b.py", "def f(): pass"), False),
        (("cli/a.py", "HELP = ''\ndef a(): pass"), ("cli/lut/a.py", "HELP = ''\ndef a(): pass"), False),
    ],
)
def test_a_name_with_two_homes_is_found(first, second, found):
    trees = {Path(path): ast.parse(code) for path, code in (first, second)}
    assert bool(list(names_with_two_homes(trees))) == found


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
        ("from lutkit import apply, Lut3D, LutkitError", {"torch", "numba", "colour", "webdataset", "PIL"}),
        ("import lutkit.distort.sampling", {"torch", "numba", "colour", "webdataset", "PIL", "skimage"}),
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


def test_no_two_test_files_share_a_name():
    """pytest imports them by their names alone, and would leave one of the two out."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert [name for name in set(names) if names.count(name) > 1] == []
