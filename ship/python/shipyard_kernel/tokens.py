"""IPython reads every cell token by token, in Python, to find its own syntax: %magic, !command, help?

That takes as long as all of Python's own reading of the cell, many times over for a long one. None of it can be in a cell
that lacks the characters.
"""

import re

#: At the start of a line, behind an assignment, or anywhere; more than IPython takes.
_START = re.compile(r"[\s\\]*[%,;/]")
_ANYWHERE = re.compile(r"[!?]|=[\s\\]*%")


def install(shell):
    from IPython.core import inputtransformer2 as syntax

    manager = shell.input_transformer_manager
    known = [syntax.MagicAssign, syntax.SystemAssign, syntax.EscapedCommand, syntax.HelpEnd]
    if manager.token_transformers != known or not set("!?%,;/") >= set(syntax.ESCAPE_SINGLES):
        raise TypeError("another syntax")
    stock = manager.do_token_transforms

    def do_token_transforms(lines):
        # A user may add to the list, at any time.
        if manager.token_transformers == known and not may_have_any(lines):
            return lines
        return stock(lines)

    manager.do_token_transforms = do_token_transforms


def may_have_any(lines):
    return bool(_ANYWHERE.search("".join(lines))) or any(map(_START.match, lines))
