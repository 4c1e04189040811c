"""The names that every new kernel of the original Shipyard had: plt, fm, os, shutil, font_prop, font_path, cache_dir.

They are made when a cell uses them, so that nobody waits for matplotlib who does not draw. A cell that binds such a name
itself keeps its own. (Fonts are set by the matplotlibrc beside this file, which new homes get.)
"""

import ast
import logging
import os
import shutil

#: Where Debian and Ubuntu install the collection of Noto's CJK fonts.
FONT_PATH = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"


def _font_prop():
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=FONT_PATH) if os.path.exists(FONT_PATH) else FontProperties()


def _plt():
    import matplotlib.pyplot

    return matplotlib.pyplot


def _fm():
    import matplotlib.font_manager

    return matplotlib.font_manager


_MAKERS = {
    "plt": _plt,
    "fm": _fm,
    "os": lambda: os,
    "shutil": lambda: shutil,
    "font_prop": _font_prop,
    "font_path": lambda: FONT_PATH,
    "cache_dir": lambda: os.path.expanduser("~/.cache/matplotlib"),
}
#: Calls whose text arguments are code.
_RUNS_TEXT = {"eval", "exec", "run_line_magic", "run_cell_magic"}


class LazyNames:
    """An AST transformer of IPython that changes nothing, and sees which names a cell needs before it runs."""

    def __init__(self, namespace):
        self._namespace = namespace

    def visit(self, tree):
        missing = [name for name in _MAKERS if name not in self._namespace]
        if missing:
            used, bound = _names(tree)
            for name in missing:
                if name in used and name not in bound:
                    self._make(name)
        return tree

    def _make(self, name):
        try:
            value = _MAKERS[name]()
        except Exception:  # no matplotlib: the cell then says NameError, as it would without us
            return
        self._namespace.setdefault(name, value)


def _names(tree):
    used, bound = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            used.add(node.slice.value)  # globals()["plt"]
        elif isinstance(node, ast.Call) and _called(node) in _RUNS_TEXT:
            text = " ".join(a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
            used.update(name for name in _MAKERS if name in text)
    return used, bound


def _called(call):
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", None)


def install(shell):
    if not hasattr(shell, "ast_transformers"):
        raise AttributeError("ast_transformers")
    shell.ast_transformers.append(LazyNames(shell.user_ns))
    logging.getLogger("matplotlib.font_manager").addFilter(
        # Said once for each new home, after five seconds, in whatever cell is running.
        lambda record: "building the font cache" not in str(record.msg)
    )
