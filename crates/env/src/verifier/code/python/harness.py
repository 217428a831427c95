# Runs a program, then its tests in the same namespace, and tells the verdict. {length} is put in by the caller.
#
# Whatever the program does, it runs inside the one expression at the end. What is needed after it was evaluated before it and lies
# on the interpreter's value stack: no name, no frame, no container and no garbage collector leads there. That is the tests,
# encrypted with a pad as long as they are; the key that the verdict is signed with; and the built-in functions that
# decrypt, run and sign. Only an end of the expression, reached by running the tests without an exception, in the first
# process and not in a fork of it, gives the signature.
import sys, builtins
from posix import read, write, getpid, _exit
from marshal import loads
try:
    from _sha256 import sha256
except ImportError:
    from _sha2 import sha256

def take(count):
    parts = []
    while count:
        part = read(0, count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)

key = take(32)
pad = int.from_bytes(take({length}), "little")
cipher = int.from_bytes(take({length}), "little")
program = []
while part := read(0, 65536):
    program.append(part)
program = compile(b"".join(program), "program.py", "exec", dont_inherit=True)
sys.argv[:] = ["program.py"]
del sys.addaudithook
restore, items = builtins.__dict__.update, tuple(builtins.__dict__.items())
clear, put = globals().clear, globals().update
meta = (("__name__", "__main__"), ("__doc__", None), ("__package__", None), ("__spec__", None), ("__builtins__", builtins))
_exit((write(3, sha256(key + b"%d" % (getpid, exec(loads((pad ^ (cipher, restore((items, exec((program, put((meta, clear())[0]))[0]))[0]))[0]).to_bytes({length}, "little"))))[0]()).digest()), 0)[1])
