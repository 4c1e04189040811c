"""Fonts of figures, for a matplotlibrc in the session's home (~/.config/matplotlib/matplotlibrc)."""

#: The file of the fonts' CJK collection on Debian and Ubuntu.
FONT_PATH = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"

TEXT = """\
# Written by Shipyard for new homes; change it as you like.
font.family: sans-serif
font.sans-serif: Noto Sans CJK SC, Noto Sans CJK JP, DejaVu Sans, Liberation Sans, Arial, Helvetica, sans-serif
axes.unicode_minus: False
"""
