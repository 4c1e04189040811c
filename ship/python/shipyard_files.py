"""File operations of a session, done with the session's rights and confined to its workspace.

OPERATIONS maps a name to a function (workspace, arguments) -> JSON value. Arguments and answers have the field names of
shipyard.execution.v1.FileService in camelCase. Failures are RunnerErrors; their texts are part of the HTTP contract.
"""

import codecs
import heapq
import io
import os
import re
import stat
import threading

from shipyard_runner.confine import Workspace  # noqa: F401 -- for callers
from shipyard_runner.errors import RunnerError, describe_os_error, from_os_error
from shipyard_runner.new_file import NewFile
from shipyard_runner.remove_tree import remove_tree

MAX_TEXT_BYTES = 16 * 1024 * 1024
MAX_ENTRIES = 10_000

#: Reading, replacing and writing is one act: of two edits at once, the second sees the first.
_edits = threading.Lock()


def read_text(workspace, arguments):
    path = arguments["path"]
    with _located(workspace, path) as at:
        content, size = _load(at, path, _encoding(arguments.get("encoding")))
        offset, limit = arguments.get("offset"), arguments.get("limit")
        if offset is not None or limit is not None:
            lines = io.StringIO(content, newline="").readlines()
            lines = lines[max(0, (offset or 1) - 1) :]
            content = "".join(lines if limit is None else lines[:limit])
        _check_utf8(content)
        return {"content": content, "path": _as_text(at.path), "sizeBytes": size}


def write_text(workspace, arguments):
    path = arguments["path"]
    encoding = _encoding(arguments.get("encoding"))
    content = arguments.get("content") or ""
    mode = arguments.get("mode")
    try:
        with workspace.locate(path, make_parents=True) as at:
            if arguments.get("append"):
                size = _append(at, path, content, encoding, mode)
            else:
                data = _encode(content, encoding)
                _refuse_special(at, path)
                with NewFile(at) as file:
                    file.write(data)
                    file.commit(mode)
                size = len(data)
            return {"path": _as_text(at.path), "sizeBytes": size}
    except OSError as error:
        raise from_os_error(error, path) from error


def edit_text(workspace, arguments):
    path = arguments["path"]
    old, new = arguments.get("oldString") or "", arguments.get("newString") or ""
    if old == new:
        raise RunnerError("EDIT_FAILED", "'old_string' and 'new_string' must differ")
    encoding = _encoding(arguments.get("encoding"))
    with _edits, _located(workspace, path) as at:
        content, _size = _load(at, path, encoding)
        content, count = _replace(content, old, new, bool(arguments.get("replaceAll")))
        data = _encode(content, encoding)
        try:
            with NewFile(at) as file:
                file.write(data)
                file.commit(None)
        except OSError as error:
            raise from_os_error(error, path) from error
        return {"path": _as_text(at.path), "replacements": count, "sizeBytes": len(data)}


def delete_file(workspace, arguments):
    path = arguments["path"]
    try:
        with workspace.locate(path, follow_last=False) as at:
            if at.is_workspace:
                raise RunnerError("PATH_WRONG_KIND", "Access denied: the workspace itself cannot be deleted: " + path)
            mode = at.lstat().st_mode
            if stat.S_ISDIR(mode):
                remove_tree(at.directory, at.name)
                return {"wasDirectory": True}
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                raise RunnerError("PATH_WRONG_KIND", "Unknown path type: " + path)
            os.unlink(at.name, dir_fd=at.directory)
            return {"wasDirectory": False}
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunnerError("FILE_NOT_FOUND", "Path not found: " + path) from error
    except OSError as error:
        raise from_os_error(error, path) from error


def list_directory(workspace, arguments):
    path = arguments.get("path") or "."
    show_hidden = bool(arguments.get("showHidden"))
    try:
        with workspace.locate(path) as at:
            if not stat.S_ISDIR(at.lstat().st_mode):
                raise RunnerError("PATH_WRONG_KIND", "Path is not a directory: " + path)
            directory = os.open(at.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at.directory)
            try:
                entries = _entries(directory, at.path, show_hidden)
                rows = heapq.nsmallest(MAX_ENTRIES + 1, entries, key=_listing_order)
            finally:
                os.close(directory)
            return {"files": rows[:MAX_ENTRIES], "path": _as_text(at.path), "truncated": len(rows) > MAX_ENTRIES}
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunnerError("FILE_NOT_FOUND", "Directory not found: " + path) from error
    except OSError as error:
        raise from_os_error(error, path) from error


def file_info(workspace, arguments):
    path = arguments["path"]
    try:
        with workspace.locate(path, follow_last=False) as link, workspace.locate(path) as at:
            target = _link_target(link.directory, link.name)
            return _info(_base_name(at), at.path, at.lstat(), target)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunnerError("FILE_NOT_FOUND", "File not found: " + path) from error
    except OSError as error:
        raise from_os_error(error, path) from error


def make_directory(workspace, arguments):
    path = arguments["path"]
    try:
        with workspace.locate(path, make_parents=True) as at:
            try:
                os.mkdir(at.name, 0o777, dir_fd=at.directory)
            except FileExistsError:
                if not stat.S_ISDIR(at.lstat().st_mode):
                    raise RunnerError("PATH_WRONG_KIND", "Path is not a directory: " + path) from None
            return _info(_base_name(at), at.path, at.lstat(), "")
    except NotADirectoryError as error:
        raise RunnerError("PATH_WRONG_KIND", describe_os_error(error, path)) from error
    except OSError as error:
        raise from_os_error(error, path) from error


def move_file(workspace, arguments):
    path, new_path = arguments["path"], arguments["newPath"]
    try:
        with workspace.locate(path, follow_last=False) as source:
            if source.is_workspace:
                raise RunnerError("PATH_WRONG_KIND", "Access denied: the workspace itself cannot be moved: " + path)
            source.lstat()
            try:
                with workspace.locate(new_path, follow_last=False, make_parents=True) as target:
                    if target.is_workspace or _is_directory(target):
                        raise RunnerError("PATH_WRONG_KIND", "Path is a directory: " + new_path)
                    os.rename(source.name, target.name, src_dir_fd=source.directory, dst_dir_fd=target.directory)
                    return _info(target.name, target.path, target.lstat(), _link_target(target.directory, target.name))
            except OSError as error:
                raise from_os_error(error, new_path) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunnerError("FILE_NOT_FOUND", "File not found: " + path) from error
    except OSError as error:
        raise from_os_error(error, path) from error


OPERATIONS = {
    "readText": read_text,
    "writeText": write_text,
    "editText": edit_text,
    "deleteFile": delete_file,
    "listDirectory": list_directory,
    "fileInfo": file_info,
    "makeDirectory": make_directory,
    "moveFile": move_file,
}


def open_regular(workspace, path):
    """(descriptor, FileInfo) of a regular file, for reading."""
    with _located(workspace, path) as at:
        descriptor = _open_regular(at, path)
        return descriptor, _info(_base_name(at), at.path, os.fstat(descriptor), "")


def open_new(workspace, path):
    """A NewFile that will become `path`; the caller ends it with close()."""
    try:
        at = workspace.locate(path, make_parents=True)
        try:
            _refuse_special(at, path)
            return NewFile(at)
        except BaseException:
            os.close(at.directory)
            raise
    except OSError as error:
        raise from_os_error(error, path) from error


def _located(workspace, path):
    """A file that is to be read."""
    try:
        return workspace.locate(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunnerError("FILE_NOT_FOUND", "File not found: " + path) from error
    except OSError as error:
        raise from_os_error(error, path) from error


def _open_regular(at, path):
    """Nothing but a regular file is opened: a FIFO would wait, a device act."""
    descriptor = -1
    try:
        _require_regular(at.lstat().st_mode, path)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(at.name, flags, dir_fd=at.directory)
        _require_regular(os.fstat(descriptor).st_mode, path)
        opened, descriptor = descriptor, -1
        return opened
    except FileNotFoundError as error:
        raise RunnerError("FILE_NOT_FOUND", "File not found: " + path) from error
    except OSError as error:
        raise from_os_error(error, path) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _load(at, path, encoding):
    """(text, bytes on disk)"""
    with open(_open_regular(at, path), "rb") as file:
        try:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MAX_TEXT_BYTES + 1)
        except OSError as error:
            raise from_os_error(error, path) from error
    if len(data) > MAX_TEXT_BYTES:
        size = max(size, len(data))
        raise RunnerError(
            "TOO_LARGE",
            "file size (%d bytes) exceeds what is read as text (%d bytes)" % (size, MAX_TEXT_BYTES),
            size_bytes=size,
            max_bytes=MAX_TEXT_BYTES,
        )
    try:
        return data.decode(encoding), len(data)
    except (UnicodeError, ValueError) as error:
        raise RunnerError("ENCODING_FAILED", str(error)) from error


def _encoding(name):
    name = name or "utf-8"
    try:
        if getattr(codecs.lookup(name), "_is_text_encoding", True):
            return name
    except (LookupError, ValueError):
        pass
    raise RunnerError("ENCODING_FAILED", "unknown encoding: " + name)


def _encode(content, encoding):
    try:
        return content.encode(encoding)
    except (UnicodeError, ValueError) as error:
        raise RunnerError("ENCODING_FAILED", str(error)) from error


def _check_utf8(content):
    """Some codecs make lone surrogates, which no message can carry."""
    if not content.isascii():
        _encode(content, "utf-8")


def _append(at, path, content, encoding, mode):
    try:
        _require_regular(at.lstat().st_mode, path)
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(at.name, flags, 0o666, dir_fd=at.directory)
    try:
        status = os.fstat(descriptor)
        _require_regular(status.st_mode, path)
        encoder = codecs.getincrementalencoder(encoding)()
        if status.st_size:
            encoder.setstate(0)  # no second byte-order mark
        try:
            data = memoryview(encoder.encode(content, True))
        except (UnicodeError, ValueError) as error:
            raise RunnerError("ENCODING_FAILED", str(error)) from error
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            if os.fstat(descriptor).st_size == status.st_size + written:
                os.ftruncate(descriptor, status.st_size)
            raise
        if mode:
            os.fchmod(descriptor, mode & 0o777)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _replace(content, old, new, replace_all):
    """Counts and replaces as str.replace does, but a line end in `old` matches both kinds, and what `new` brings takes
    the kind of its place."""
    if not old:
        raise RunnerError("EDIT_FAILED", "'old_string' not found in file")
    crlf_file = "\r\n" in content and content.count("\r\n") * 2 >= content.count("\n")
    if "\r" in old or "\n" not in old:
        count = content.count(old)
        replacement = _with_line_ends(new, crlf_file)
        _check_edit(content, old, replacement, count, replace_all)
        return content.replace(old, replacement), count
    pattern = re.compile("\r?\n".join(re.escape(part) for part in old.split("\n")))
    count = sum(1 for _match in pattern.finditer(content))
    _check_edit(content, old, _with_line_ends(new, crlf_file), count, replace_all)
    return pattern.sub(lambda match: _with_line_ends(new, "\r\n" in match.group()), content), count


def _check_edit(content, old, new, count, replace_all):
    if count == 0:
        raise RunnerError("EDIT_FAILED", "'old_string' not found in file")
    if count > 1 and not replace_all:
        raise RunnerError(
            "EDIT_FAILED",
            "'old_string' appears %d times in file; set replace_all=true to replace all occurrences" % count,
            count=count,
        )
    size = len(content) + count * (len(new) - len(old))
    if size > MAX_TEXT_BYTES:
        raise RunnerError(
            "TOO_LARGE",
            "the result (%d characters) exceeds what is written as text (%d bytes)"
            % (size, MAX_TEXT_BYTES),
            size_bytes=size,
            max_bytes=MAX_TEXT_BYTES,
        )


def _with_line_ends(text, crlf):
    return re.sub("\r?\n", "\r\n", text) if crlf and "\n" in text else text


def _entries(directory, path, show_hidden):
    with os.scandir(directory) as found:
        for entry in found:
            if entry.name.startswith(".") and not show_hidden:
                continue
            try:
                status = entry.stat()
                target = os.readlink(entry.name, dir_fd=directory) if entry.is_symlink() else ""
            except OSError:
                continue  # a dangling link, or gone since: not listed
            yield _info(entry.name, path + "/" + entry.name, status, target)


def _listing_order(info):
    return (not info["isDirectory"], info["name"].lower(), info["name"])


def _info(name, path, status, link_target):
    is_directory = stat.S_ISDIR(status.st_mode)
    return {
        "name": _as_text(name),
        "path": _as_text(path),
        "isFile": stat.S_ISREG(status.st_mode),
        "isDirectory": is_directory,
        "sizeBytes": 0 if is_directory else status.st_size,
        "modifyTimeMs": status.st_mtime_ns / 1e6,
        "mode": stat.S_IMODE(status.st_mode),
        "linkTarget": _as_text(link_target),
    }


def _as_text(name):
    """Names are bytes; what is no UTF-8 is shown by U+FFFD."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def _base_name(at):
    return os.path.basename(at.path) if at.is_workspace else at.name


def _link_target(directory, name):
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return ""


def _is_directory(at):
    try:
        return stat.S_ISDIR(at.lstat().st_mode)
    except FileNotFoundError:
        return False


def _require_regular(mode, path):
    if not stat.S_ISREG(mode):
        raise RunnerError("PATH_WRONG_KIND", "Path is not a file: " + path)


def _refuse_special(at, path):
    """A new file may take the place of a file, and of nothing else."""
    if at.is_workspace:
        _require_regular(stat.S_IFDIR, path)
    try:
        _require_regular(at.lstat().st_mode, path)
    except FileNotFoundError:
        pass
