"""Values of Python's own types have one representation, text; IPython asks a dozen formatters for others, cell by cell."""

from IPython.core import formatters

#: Nothing can be set on these, so none of them has a representation of its own making.
_TYPES = frozenset((int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, range, type(None)))
_PLAIN = "text/plain"


def install(shell):
    display = shell.display_formatter
    stock = display.format
    known = {type(each) for each in display.formatters.values()}
    known |= {type(display.mimebundle_formatter), type(display.ipython_display_formatter)}
    if not known <= {each for each in vars(formatters).values() if isinstance(each, type)}:
        raise TypeError("formatters of another make")

    def has_others(value, plain):
        """Whether somebody registered a formatter for it beside the plain one: users may, at any time."""
        kinds = type(value).__mro__
        names = [(kind.__module__, kind.__name__) for kind in kinds]
        for each in (*display.formatters.values(), display.mimebundle_formatter, display.ipython_display_formatter):
            if each is plain:
                continue
            if type(each) not in known or id(value) in each.singleton_printers:
                return True
            if not each.type_printers.keys().isdisjoint(kinds) or not each.deferred_printers.keys().isdisjoint(names):
                return True
        return False

    def format(value, include=None, exclude=None):
        plain = display.formatters.get(_PLAIN)
        is_simple = type(value) in _TYPES and plain and include is None and exclude is None
        if not is_simple or has_others(value, plain):
            return stock(value, include, exclude)
        text = plain(value)
        return ({} if text is None else {_PLAIN: text}), {}

    display.format = format
