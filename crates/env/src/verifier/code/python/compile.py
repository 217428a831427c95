# Reads tests on stdin and writes to descriptor 3, as JSON: {"tests": [line of each test..], "codes": [the code of all of them, then of each
# alone with what precedes it, as hexadecimal of marshal]} or {"broken": why}. Runs before any program is known; nothing here is run with one but PRELUDE.
import ast, json, marshal, os, sys

MODE = sys.argv[1]
MARK = "_cohort_" + os.urandom(8).hex()

# Comparisons that a program's classes cannot win by saying yes to everything.
PRELUDE = r'''
def MARK():
    import sys
    sys.settrace(None)
    sys.setprofile(None)
    sys.path[:] = PATH
    for name in list(sys.modules):
        if name.partition(".")[0] in ("unittest", "math", "cmath", "operator", "_operator"):
            del sys.modules[name]
    import _operator as operator
    mro, modules, stop = type.__dict__["__mro__"].__get__, sys.modules, (AssertionError, KeyboardInterrupt)
    scalars = (bool, int, float, complex, str, bytes, bytearray, type(None), range, slice, type(...))
    order = {"<": ("__lt__", operator.lt, operator.ge), "<=": ("__le__", operator.le, operator.gt),
             ">": ("__gt__", operator.gt, operator.le), ">=": ("__ge__", operator.ge, operator.lt)}

    def is_foreign(x):
        t = type(x)
        if not t.__flags__ & 512:
            return False
        module = modules.get(t.__module__)
        return t.__module__ == "__main__" or getattr(module, t.__qualname__, None) is not t

    def base(x):
        for t in mro(type(x)):
            if t in scalars or t in (list, tuple, dict, set, frozenset):
                return t
        return None

    def other(x):
        try:
            b = base(x)
            if b in (bool, int, float, complex):
                return b.__add__(x, 1) if b is not bool else not x
            if b in (str, bytes, bytearray, tuple, list):
                return x + type(x)(("?",)) if b in (tuple, list) else x + (b"?" if b is not str else "?")
        except Exception:
            pass
        return object()

    def agrees(f, x, y):
        try:
            return bool(f(x, y))
        except stop:
            raise
        except Exception:
            return False

    def same(x, y, depth=0):
        if x is y:
            return True
        a, b = base(x), base(y)
        if not is_foreign(x) and not is_foreign(y) and (a not in (list, tuple, dict) or depth > 100):
            return x == y
        if a in (list, tuple) and a is b:
            return a.__len__(x) == a.__len__(y) and all(same(u, v, depth + 1) for u, v in zip(a.__iter__(x), a.__iter__(y)))
        if a is dict and b is dict:
            if type(x) is not dict and not is_foreign(x) or type(y) is not dict and not is_foreign(y):
                return x == y
            return dict.__len__(x) == dict.__len__(y) and all(
                dict.__contains__(y, k) and same(v, dict.__getitem__(y, k), depth + 1) for k, v in dict.items(x))
        if a is not None and b is not None:
            answer = a.__eq__(x, y)
            answer = b.__eq__(y, x) if answer is NotImplemented else answer
            return False if answer is NotImplemented else answer
        answer = x == y
        if not (is_foreign(x) or is_foreign(y)) or not agrees(lambda u, v: u == v, x, y):
            return answer
        odd, plain = (x, y) if is_foreign(x) and a is None else (y, x)
        tells = not agrees(operator.eq, odd, object()) and not agrees(operator.eq, object(), odd)
        if tells and not is_foreign(plain):
            tells = not agrees(operator.eq, odd, other(plain))
        return answer if tells else False

    def compare(op, x, y):
        if op == "==":
            return same(x, y)
        if op == "!=":
            answer = x != y
            return answer if answer is not True and answer is not False else not same(x, y)
        if op in ("in", "not in"):
            b = base(y)
            if b in (list, tuple):
                found = any(same(x, e) for e in b.__iter__(y))
            else:
                found = operator.contains(y, x)
                if found and b is None and is_foreign(y) and agrees(operator.contains, y, object()):
                    found = op == "not in"
            return found if op == "in" else not found
        slot, does, opposite = order[op]
        if is_foreign(x) or is_foreign(y):
            a, b = base(x), base(y)
            if a is not None and b is not None and hasattr(a, slot):
                answer = getattr(a, slot)(x, y)
                if answer is not NotImplemented:
                    return answer
            elif agrees(does, x, y) and agrees(opposite, x, y):
                return False
        return does(x, y)

    def chain(ops, first, *rest):
        answer = True
        for op, value in zip(ops, rest):
            answer = (first is value) if op == "is" else (first is not value) if op == "is not" else compare(op, first, value)
            if not answer:
                return answer
            first = value
        return answer

    def pair(x, y):
        return (x, y) if bool(same(x, y)) or not agrees(operator.eq, x, y) else (object(), object())

    def main(f, *args, **kwargs):
        kwargs["exit"] = False
        result = f(*args, **kwargs).result
        assert result.testsRun > 0 and result.wasSuccessful(), "unittest"

    return chain, pair, main
MARK_chain, MARK_pair, MARK_main = MARK()
'''

OPS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in",
       ast.Is: "is", ast.IsNot: "is not"}
EQUAL = {"assertEqual", "assertEquals", "assertListEqual", "assertTupleEqual", "assertDictEqual", "assertSetEqual",
         "assertSequenceEqual", "assertCountEqual", "assertMultiLineEqual", "assertAlmostEqual"}


class Strict(ast.NodeTransformer):
    def visit_Compare(self, node):
        self.generic_visit(node)
        words = ast.Tuple([ast.Constant(OPS[type(op)]) for op in node.ops], ast.Load())
        if all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
            return node
        call = ast.Call(ast.Name(MARK + "_chain", ast.Load()), [words, node.left, *node.comparators], [])
        return ast.copy_location(call, node)

    def visit_Call(self, node):
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute):
            return node
        plain = len(node.args) >= 2 and not any(isinstance(a, ast.Starred) for a in node.args[:2])
        if node.func.attr in EQUAL and plain:
            both = ast.Call(ast.Name(MARK + "_pair", ast.Load()), node.args[:2], [])
            node.args[:2] = [ast.Starred(both, ast.Load())]
        elif node.func.attr == "main" and isinstance(node.func.value, ast.Name) and node.func.value.id == "unittest":
            node = ast.copy_location(ast.Call(ast.Name(MARK + "_main", ast.Load()), [node.func, *node.args], node.keywords), node)
        return node


def has(node, kind):
    return any(isinstance(n, kind) for n in ast.walk(node))


DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global, ast.Pass)


def is_test(node):
    """Whether a statement of the top is a test, and no setup."""
    if isinstance(node, ast.Expr):
        return has(node, ast.Call) and any(
            word in ast.unparse(node.value).partition("(")[0].lower() for word in ("test", "check", "assert", "main", "run"))
    return not isinstance(node, DEFINES) and has(node, (ast.Assert, ast.Raise)) or isinstance(node, ast.If) and any(map(is_test, node.body))


def runs(node):
    if isinstance(node, DEFINES) or isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return False
    return not isinstance(node, (ast.Assign, ast.AnnAssign)) or has(node, ast.Call)


def code(body):
    """The tests behind the prelude; imports from the future stay first."""
    first = 0
    while first < len(body) and (isinstance(body[first], ast.Expr) and isinstance(body[first].value, ast.Constant)
                                 or isinstance(body[first], ast.ImportFrom) and body[first].module == "__future__"):
        first += 1
    prelude = ast.parse(PRELUDE.replace("MARK", MARK).replace("PATH", repr(sys.path))).body
    whole = ast.Module(body[:first] + prelude + body[first:], [])
    return marshal.dumps(compile(ast.fix_missing_locations(whole), "tests.py", "exec", dont_inherit=True)).hex()


def answer():
    try:
        tree = ast.parse(sys.stdin.buffer.read(), "tests.py")
    except (SyntaxError, ValueError) as e:
        return {"broken": f"{type(e).__name__}: {e}"}
    body = tree.body
    if not any(map(runs, body)):
        named = [n.name for n in body if isinstance(n, ast.FunctionDef) and n.name.startswith("test") and not n.args.args]
        if not named:
            return {"broken": "nothing in it runs: it defines, and neither asserts nor calls"}
        body = body + ast.parse("\n".join(f"{name}()" for name in named)).body
    body = [Strict().visit(node) for node in body]
    tests = [i for i, node in enumerate(body) if is_test(node)] or [len(body) - 1]
    codes = [code(body)]
    if MODE == "share" and len(tests) > 1:
        for test in tests:
            codes.append(code([n for i, n in enumerate(body) if i == test or i < test and i not in tests]))
    return {"tests": [getattr(body[i], "lineno", 0) for i in tests], "codes": codes}


with os.fdopen(3, "wb") as out:
    out.write(json.dumps(answer()).encode())
