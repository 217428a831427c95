//! Programs and their tests, in the real sandbox.

use cohort_core::Outcome;
use serde_json::{Value, json};

use super::PythonTests;
use crate::{Means, Sandbox, Verdict, Verifier, VerifierError, judge_one, testing, verifier::Configured};

fn verifier(parameters: Value) -> Box<dyn Verifier> {
    let config: PythonTests = serde_json::from_value(parameters).unwrap();
    config.build(&Means::default()).unwrap()
}

fn said(verifier: &dyn Verifier, completion: &str, tests: Value) -> Verdict {
    let item = testing::item("p", &json!({ "tests": tests }).to_string());
    judge_one(verifier, &testing::view(&item, completion))
}

const RIGHT: Outcome = Outcome::Scored { value: 1.0 };
const WRONG: Outcome = Outcome::Scored { value: 0.0 };

#[test]
fn a_program_is_scored_by_its_tests() {
    let term = verifier(json!({}));
    let tests = json!("assert add(1, 2) == 3\nassert add(-1, 1) == 0");
    let add = "def add(a, b):\n    return a + b\n";
    let fenced = format!("So:\n```python\n{add}```\nDone. ```add``` it.");
    assert_eq!(said(&*term, add, tests.clone()).outcome, RIGHT);
    let verdict = said(&*term, &fenced, tests.clone());
    assert_eq!((verdict.outcome, &verdict.parts["passed"], &verdict.parts["tests"]), (RIGHT, &json!(2), &json!(2)));
    let verdict = said(&*term, "def add(a, b):\n    return 3\n", tests.clone());
    assert_eq!((verdict.outcome, &verdict.parts["passed"]), (WRONG, &json!(1)));
    assert_eq!(verdict.parts["fault"], "AssertionError");
    for wrong in ["", "def add(a, b)", "import no_such_module", "raise SystemExit(0)", "def add(a): return 3", "\0"] {
        assert_eq!(said(&*term, wrong, tests.clone()).outcome, WRONG, "{wrong:?}");
    }
    // What a program prints is its own affair.
    assert_eq!(said(&*term, &format!("print('x')\n{add}import threading, math"), tests).outcome, RIGHT);
}

#[test]
fn scripts_are_compared_by_what_they_print() {
    let term = verifier(json!({}));
    let tests = json!([{"stdin": "1 2\n", "stdout": "3"}, {"stdin": "5 5\n", "stdout": "10\n"}]);
    let program = "if __name__ == '__main__':\n    a, b = map(int, input().split())\n    print(a + b)\n";
    assert_eq!(said(&*term, program, tests.clone()).outcome, RIGHT);
    let verdict = said(&*term, "print(3)", tests.clone());
    assert_eq!((verdict.outcome, &verdict.parts["passed"], &verdict.parts["tests"]), (WRONG, &json!(1), &json!(2)));
    let share = verifier(json!({"score": "share"}));
    assert_eq!(said(&*share, "print(3)", tests.clone()).outcome, Outcome::Scored { value: 0.5 });
    assert_eq!(said(&*term, "print(3)\nraise SystemExit(1)", tests).outcome, WRONG);
}

#[test]
fn shares_count_each_test_by_itself() {
    let term = verifier(json!({"score": "share"}));
    let tests = json!(
        "import math\nlimit = 3\nassert f(1) == 1\nassert f(2) == 5\nassert f(3) == limit\nassert math.isclose(f(4), 4)"
    );
    let verdict = said(&*term, "def f(x):\n    return x", tests.clone());
    assert_eq!((verdict.outcome, &verdict.parts["passed"]), (Outcome::Scored { value: 0.75 }, &json!(3)));
    assert_eq!(said(&*term, "import sys\ndef f(x):\n    sys.exit(0)", tests.clone()).outcome, WRONG);
}

#[test]
fn broken_tests_are_errors_and_slow_programs_time_out() {
    let term = verifier(json!({"timeout_s": 0.5}));
    let program = "def f(x):\n    return x";
    for broken in [
        json!("assert f(1"),
        json!("def check(g):\n    assert g(1) == 1"),
        json!(""),
        json!([]),
        json!(7),
        json!([{"in": 1}]),
    ] {
        let outcome = said(&*term, program, broken.clone()).outcome;
        assert!(outcome.is_failure() && outcome != Outcome::Timeout, "{broken}: {outcome:?}");
    }
    assert_eq!(said(&*term, "while True: pass", json!("assert True")).outcome, Outcome::Timeout);
    assert_eq!(said(&*term, "import time; time.sleep(60)", json!([{"stdout": ""}])).outcome, Outcome::Timeout);
    assert!(verifier(json!({})).score(&testing::view(&testing::item("p", "{}"), program)).outcome.is_failure());
}

#[test]
fn kinds_of_tests_that_data_sets_have() {
    let term = verifier(json!({}));
    let program = "def f(x):\n    return x + 1";
    let unittest = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(f(1), 2)\nunittest.main()";
    let check = "def check(g):\n    assert g(1) == 2\ncheck(f)";
    let pytest = "def test_it():\n    assert f(1) == 2";
    let future = "'''Doc.'''\nfrom __future__ import annotations\nimport pytest_is_absent if False else math";
    for tests in [unittest, check, pytest] {
        assert_eq!(said(&*term, program, json!(tests)).outcome, RIGHT, "{tests}");
        assert_eq!(said(&*term, "def f(x):\n    return x", json!(tests)).outcome, WRONG, "{tests}");
    }
    assert!(said(&*term, program, json!(future)).outcome.is_failure());
}

/// Without a jail the same things are scored, and verdicts are still not the program's to tell.
#[test]
fn a_recipe_may_do_without_a_jail() {
    let config: PythonTests = serde_json::from_value(json!({})).unwrap();
    let term = config.build(&Means { sandbox: Sandbox::None, ..Means::default() }).unwrap();
    let tests = json!("import os\nassert f(1) == 2 and os.path.exists('/proc')");
    assert_eq!(said(&*term, "def f(x): return x + 1", tests.clone()).outcome, RIGHT);
    assert_eq!(said(&*term, "import os\nos.write(3, b'x' * 32)\nos._exit(0)", tests.clone()).outcome, WRONG);
    assert_eq!(said(&*verifier(json!({})), "def f(x): return x + 1", tests).outcome, WRONG);
}

/// Programs that toss a coin: what was said once is said by every verifier with the same folder, interpreter and parameters, and by no other.
#[test]
fn what_was_run_once_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let means = Means { cache: Some(folder.path().to_owned()), ..Means::default() };
    let outcomes = |parameters: Value, means: &Means| -> Vec<Outcome> {
        let config: PythonTests = serde_json::from_value(parameters).unwrap();
        let term = config.build(means).unwrap();
        let coin = |number: usize| format!("import os\ndef f(): return os.urandom(1)[0] % 2  # {number}");
        (0..24).map(|number| said(&*term, &coin(number), json!("assert f() == 1")).outcome).collect()
    };
    let first = outcomes(json!({}), &means);
    assert!(first.contains(&RIGHT) && first.contains(&WRONG), "{first:?}");
    assert_eq!(outcomes(json!({}), &means), first);
    assert_ne!(outcomes(json!({"timeout_s": 9.0}), &means), first);
    assert_ne!(outcomes(json!({}), &Means::default()), first);
    // Other packages may be installed next time.
    assert_ne!(outcomes(json!({"packages": "installed"}), &means), outcomes(json!({"packages": "installed"}), &means));
}

#[test]
fn an_interpreter_that_is_not_there_is_missing() {
    let config: PythonTests = serde_json::from_value(json!({"interpreter": "/no/such/python"})).unwrap();
    let missing = config.build(&Means::default()).err().unwrap();
    assert!(matches!(&missing, VerifierError::Missing { what, .. } if what.contains("/no/such/python")), "{missing}");
    for bad in [json!({"timeout_s": 0.0}), json!({"memory_mb": 1}), json!({"interpreter": " "})] {
        assert!(serde_json::from_value::<PythonTests>(bad).unwrap().check().is_err());
    }
}

/// What is installed for the interpreter can be had.
#[test]
fn installed_packages_are_found_where_they_are_asked_for() {
    let tests = json!("assert any('packages' in p for p in paths)");
    let program = "import sys\npaths = sys.path";
    assert_eq!(said(&*verifier(json!({"packages": "installed"})), program, tests.clone()).outcome, RIGHT);
    assert_eq!(said(&*verifier(json!({})), program, tests).outcome, WRONG);
}

/// What programs of honest people return is compared as Python does.
#[test]
fn honest_values_compare_as_ever() {
    let term = verifier(json!({}));
    let program = "\
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
Pair = namedtuple('Pair', 'a b')
class Colour(IntEnum):
    RED = 1
@dataclass(order=True)
class Point:
    x: int
class Money:
    def __init__(self, n): self.n = n
    def __eq__(self, o): return self.n == (o.n if isinstance(o, Money) else o)
    def __lt__(self, o): return self.n < (o.n if isinstance(o, Money) else o)
    def __ge__(self, o): return not self < o
class Bag:
    def __init__(self, *e): self.e = e
    def __contains__(self, x): return x in self.e
";
    let tests = "\
assert Pair(1, 2) == (1, 2) and (1, 2) == Pair(1, 2) and Pair(1, 2) != (2, 1)
assert Colour.RED == 1 and Colour.RED in [1, 2] and Colour.RED < 2
assert Point(1) == Point(1) and Point(1) != Point(2) and Point(1) < Point(2) and Point(1) in [Point(1)]
assert Money(3) == 3 and not Money(3) == 4 and Money(3) == Money(3) and Money(3) < 4 and Money(3) >= 3 and not Money(3) < 3
assert 1 in Bag(1, 2) and 3 not in Bag(1, 2)
assert Decimal('1.0') == 1 and Fraction(1, 2) == 0.5 and 1 == 1.0 and True == 1
assert Counter('aab') == {'a': 2, 'b': 1} and OrderedDict(a=1) == {'a': 1} and defaultdict(int, a=1) == {'a': 1}
assert deque([1, 2]) == deque([1, 2]) and {1, 2} == {2, 1} and frozenset([1]) == {1}
assert [1, (2.0, {'a': [3]})] == [1, (2, {'a': [3]})] and 1 < 2 <= 2 != 3 and 'a' in 'abc' and None is None
assert float('nan') != float('nan') and [] == [] and b'a' == bytearray(b'a') and 2 in {1, 2} and 'k' in {'k': 1}
";
    let verdict = said(&*term, program, json!(tests));
    assert_eq!(verdict.outcome, RIGHT, "{verdict:?}");
}

/// Programs that are wrong and say otherwise.
#[test]
fn forged_verdicts_fail() {
    let term = verifier(json!({}));
    let honest = "def f(x):\n    return x + 1";
    let tests = json!(
        "import math, unittest\nassert f(1) == 2\nassert not f(2) != 3\nassert f(3) in [4]\nassert all([f(0) == 1])\nassert math.isclose(f(4), 5)"
    );
    assert_eq!(said(&*term, honest, tests.clone()).outcome, RIGHT);
    for forged in [
        "print('passed'); print('OK'); print(1.0)",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "import sys\ndef f(x): sys.exit(0)",
        "import os\ndef f(x): os._exit(0)",
        "import atexit, os\natexit.register(os._exit, 0)",
        "import sys\nsys.excepthook = lambda *a: None",
        "class Yes:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    def __float__(self): return 5.0\ndef f(x): return Yes()",
        "class Yes(int):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    __hash__ = int.__hash__\ndef f(x): return Yes(7)",
        "class M(type):\n    def __eq__(c, o): return True\n    __hash__ = type.__hash__\nclass Yes(metaclass=M): pass\ndef f(x): return Yes",
        "import builtins\nfor name in ('exec', 'compile', 'eval', '__import__', 'isinstance', 'all', 'any', 'abs'):\n    setattr(builtins, name, lambda *a, **k: True)\nbuiltins.AssertionError = ValueError\ndef f(x): return 0",
        "import math, unittest\nmath.isclose = lambda *a, **k: True\ndef f(x): return {1: 2, 2: 3, 3: 4, 0: 1}.get(x, 0)",
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'passed' * 10)\n    except OSError: pass\nos._exit(0)",
        "import os\nfor fd in range(3, 64):\n    try: os.close(fd)\n    except OSError: pass\ndef f(x): return x + 1",
        "import os\nr, w = os.pipe()\nos.dup2(w, 3)\ndef f(x): return x + 1",
        // Guesses in children: one is right, and is not the first process.
        "import os\nfor k in range(4):\n    if os.fork() == 0:\n        break\n    os.wait()\nelse:\n    os._exit(0)\ndef f(x): return x + k",
        "import sys\nframe = sys._getframe(1)\nfor name in list(frame.f_globals) + list(frame.f_locals):\n    if 'key' in name or 'pad' in name: raise SystemExit(0)\ndef f(x): raise Exception",
        "import sys\ndef jump(frame, event, arg):\n    frame.f_lineno = frame.f_code.co_firstlineno\n    return jump\nframe = sys._getframe(1)\nframe.f_trace = jump\nframe.f_trace_opcodes = True\nsys.settrace(jump)\ndef f(x): return 0",
        "import threading, os, time\ndef later():\n    time.sleep(0.05)\n    os._exit(0)\nthreading.Thread(target=later).start()\ndef f(x):\n    time.sleep(0.3)",
        "import signal, os\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, 0.001)\ndef f(x):\n    while True: pass",
        "import sys\nsys.modules['math'] = type(sys)('math')\nsys.modules['math'].isclose = lambda *a: True\ndef f(x): return {1: 2, 2: 3, 3: 4, 0: 1}.get(x, 0)",
        "import os\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)",
    ] {
        let verdict = said(&*term, forged, tests.clone());
        assert_eq!(verdict.outcome, WRONG, "{forged}\n{verdict:?}");
        assert_eq!(
            said(&*term, &format!("{honest} # {}", forged.len()), tests.clone()).outcome,
            RIGHT,
            "the verdict after it"
        );
    }
}

/// The key and the tests are in no object that a program's code is led to.
#[test]
fn tests_and_key_cannot_be_found_before_the_tests_run() {
    let term = verifier(json!({}));
    let hidden = "assert f('needle' + 'haystack') == 'a needle in a haystack'";
    let search = "\
import gc, os, sys
word = ''.join(reversed('kcatsyah'))
seen, queue, frame = set(), [sys.modules, *gc.get_objects()], sys._getframe()
while frame:
    queue += [frame, frame.f_code, frame.f_globals, frame.f_locals]
    frame = frame.f_back
queue += [os.environ, sys.argv, sys.orig_argv if hasattr(sys, 'orig_argv') else []]
found = []
mine = sys._getframe().f_code
while queue:
    x = queue.pop()
    if id(x) in seen or x is queue or x is seen or x is found or x is mine: continue
    seen.add(id(x))
    if type(x) is bytes and len(x) == 32 and x.count(0) < 4: found.append(x)
    if type(x) is int and x.bit_length() > 4000: found.append(x)
    if x is word: continue
    if type(x) is str and word in x: found.append(x)
    if x is word: continue
    if type(x) is bytes and word.encode() in x: found.append(x)
    if type(x) is type(mine): queue += list(x.co_consts)
    queue += gc.get_referents(x)
for root in ('/', '/proc', '/work', '/dev/fd', '/proc/self/fd'):
    try: found += [name for name in os.listdir(root) if root != '/']
    except OSError: pass
try: found += [os.read(0, 100)] if os.read(0, 1) else []
except OSError: pass
print(found)
def f(x): return f'a needle in a {word}' if found else x
";
    let verdict = said(&*term, search, json!(hidden));
    assert_eq!(verdict.outcome, WRONG, "{verdict:?}");
    assert_eq!(verdict.parts["fault"], "AssertionError", "it ran to its end, and found nothing: {verdict:?}");
    for door in ["import ctypes", "import _ctypes", "import sys; sys.addaudithook(print)"] {
        let verdict = said(&*term, &format!("{door}\ndef f(x): return 'a needle in a haystack'"), json!(hidden));
        assert_eq!(verdict.outcome, WRONG, "{door}");
    }
}
