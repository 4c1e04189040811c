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

    def has_others(kind, value):
        """Whether somebody registered a formatter for it: users may, at any time."""
        names = (kind.__module__, kind.__name__), ("builtins", "object")
        for each in (*display.formatters.values(), display.mimebundle_formatter, display.ipython_display_formatter):
            if type(each) not in known:
                return True
            if each.format_type == _PLAIN:
                continue
            types, deferred = each.type_printers, each.deferred_printers
            if kind in types or object in types or id(value) in each.singleton_printers:
                return True
            if deferred and not deferred.keys().isdisjoint(names):
                return True
        return False

    def format(value, include=None, exclude=None):
        kind = type(value)
        if kind not in _TYPES or include is not None or exclude is not None or has_others(kind, value):
            return stock(value, include, exclude)
        text = display.formatters[_PLAIN](value)
        return ({} if text is None else {_PLAIN: text}), {}

    display.format = format
