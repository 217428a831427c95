//! Small circuits to be written in Verilog.
//!
//! Prompt `y=nand a b`, solution `module TopModule(input a,b,output y);assign y=~(a&b);endmodule`. Gates, multiplexers, adders, comparators, counters
//! and shift registers, with drawn names of ports, widths and polarities:
//!
//! | prompt | what it is |
//! |---|---|
//! | `y=nand a b` | a gate of two inputs: and, or, xor, nand, nor, xnor |
//! | `y=mux s a b 4` | a where s is 1, else b; of 4 bits |
//! | `y=add a b 4` | the sum of 4 bits; `sub`, the difference |
//! | `y=less a b 3` | whether a < b as numbers of 3 bits; also `more` and `same` |
//! | `y=count c r+ 4` | counts edges of c from 0, in 4 bits; 0 at an edge where r is 1 (`r-`: 0) |
//! | `y=shift c d 4` | the last 4 values of d at edges of c, the newest lowest |
//!
//! A reference and a testbench go with the item: what the term `verilog_testbench` reads.

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    draw::Draw,
    items::{self, Made, refused},
};

/// Circuits, told in a line. Columns: `prompt`, `answer` and `reference` (a right design, with the module TopModule and RefModule), `testbench` (prints
/// `Mismatches: N in M samples`), `kind`, `fault` (of the solution; `none`), `solution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Circuits {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, and how each is solved.
    pub seed: u64,
    /// Which circuits there are, each equally often.
    pub kinds: Vec<Circuit>,
    /// The greatest width of a port, in bits; the least is 2 where there is one.
    pub width: u64,
    /// Letters that name ports: the first of the alphabet.
    pub names: usize,
    /// The probability that a solution is right.
    pub right: f64,
    /// What is wrong with the others, each equally often.
    pub faults: Vec<Flaw>,
}

/// A kind of circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// A gate of two inputs.
    Gate,
    /// One of two inputs, by a third.
    Mux,
    /// A sum or a difference.
    Adder,
    /// A comparison of two numbers.
    Comparator,
    /// A counter with a reset.
    Counter,
    /// A shift register.
    Shift,
}

impl Circuit {
    const ALL: [Circuit; 6] =
        [Circuit::Gate, Circuit::Mux, Circuit::Adder, Circuit::Comparator, Circuit::Counter, Circuit::Shift];

    fn word(self) -> &'static str {
        match self {
            Circuit::Gate => "gate",
            Circuit::Mux => "mux",
            Circuit::Adder => "adder",
            Circuit::Comparator => "comparator",
            Circuit::Counter => "counter",
            Circuit::Shift => "shift",
        }
    }
}

/// What is wrong with a design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// It computes something else: another gate, inputs exchanged, another step.
    Function,
    /// The output has one bit too few; a single bit is inverted instead.
    Width,
    /// A name is one that was not declared.
    Name,
    /// A semicolon is missing: it does not compile.
    Syntax,
}

impl Flaw {
    const ALL: [Flaw; 4] = [Flaw::Function, Flaw::Width, Flaw::Name, Flaw::Syntax];

    fn word(self) -> &'static str {
        match self {
            Flaw::Function => "function",
            Flaw::Width => "width",
            Flaw::Name => "name",
            Flaw::Syntax => "syntax",
        }
    }
}

impl Default for Circuits {
    fn default() -> Self {
        Self {
            train: 512,
            dev: 64,
            test: 128,
            seed: 0,
            kinds: Circuit::ALL.to_vec(),
            width: 4,
            names: 6,
            right: 0.4,
            faults: Flaw::ALL.to_vec(),
        }
    }
}

/// What a circuit computes of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    And,
    Or,
    Xor,
    Nand,
    Nor,
    Xnor,
    Mux,
    Add,
    Subtract,
    Less,
    More,
    Same,
    Count(Polarity),
    Shift,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polarity {
    High,
    Low,
}

/// A circuit with the names of its ports: the output first, then the inputs in the prompt's order.
#[derive(Clone, Debug, PartialEq)]
struct Design {
    function: Function,
    output: char,
    inputs: Vec<char>,
    /// Of the ports that are no single bit.
    width: u64,
}

impl Circuits {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("circuits", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.circuits.{field}");
        if self.kinds.is_empty() {
            let hint = "such as [\"gate\", \"mux\"]";
            return Err(refused(key("kinds"), "must hold a kind of circuit", "none", hint));
        }
        if !(2..=9).contains(&self.width) {
            return Err(refused(key("width"), "must be in 2..=9", self.width, "bits of a port"));
        }
        if !(5..=26).contains(&self.names) {
            let hint = "a circuit has up to four ports, and a wrong name must be none of them";
            return Err(refused(key("names"), "must be in 5..=26", self.names, hint));
        }
        if self.faults.is_empty() && self.right < 1.0 {
            let hint = "of \"function\", \"width\", \"name\" and \"syntax\"";
            return Err(refused(key("faults"), "must hold a fault where solutions may be wrong", "none", hint));
        }
        items::in_unit(key("right"), self.right)
    }

    /// The splits share no prompt.
    ///
    /// # Errors
    /// Those of [`Circuits::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let make = |kind: usize, draw: &mut Draw| {
            let design = self.design(self.kinds[kind], draw);
            (design.prompt(), (self.kinds[kind], design))
        };
        let (sizes, weights) = ([self.train, self.dev, self.test], vec![1.0; self.kinds.len()]);
        let splits = items::splits(sizes, &weights, u128::MAX, Stream::new(self.seed, "circuits/designs"), make)
            .map_err(|short| short.refused("task.circuits.names".into(), self.names))?;
        let made = items::solved(splits, Stream::new(self.seed, "circuits/solutions"), |(kind, design), draw| {
            self.made(*kind, design, draw)
        });
        items::task("circuits", made, self.seed, codec, limits)
    }

    fn design(&self, kind: Circuit, draw: &mut Draw) -> Design {
        let functions: &[Function] = match kind {
            Circuit::Gate => {
                &[Function::And, Function::Or, Function::Xor, Function::Nand, Function::Nor, Function::Xnor]
            }
            Circuit::Mux => &[Function::Mux],
            Circuit::Adder => &[Function::Add, Function::Subtract],
            Circuit::Comparator => &[Function::Less, Function::More, Function::Same],
            Circuit::Counter => &[Function::Count(Polarity::High), Function::Count(Polarity::Low)],
            Circuit::Shift => &[Function::Shift],
        };
        let function = *draw.of_these(functions);
        let letters: Vec<char> = self.letters();
        let names = draw.some_of(1 + function.inputs(), &letters);
        let width = if kind == Circuit::Gate { 1 } else { 2 + draw.below(self.width - 1) };
        Design { function, output: names[0], inputs: names[1..].to_vec(), width }
    }

    fn letters(&self) -> Vec<char> {
        ('a'..='z').take(self.names).collect()
    }

    fn made(&self, kind: Circuit, design: &Design, draw: &mut Draw) -> Made {
        let fault = (!draw.chance(self.right)).then(|| *draw.of_these(&self.faults));
        let reference = design.verilog("RefModule");
        Made {
            prompt: design.prompt(),
            answer: Value::from(design.verilog("TopModule")),
            solution: fault.map_or_else(|| design.verilog("TopModule"), |fault| self.broken(design, fault, draw)),
            columns: vec![
                ("reference", Value::from(reference)),
                ("testbench", Value::from(design.testbench())),
                ("kind", Value::from(kind.word())),
                ("fault", Value::from(fault.map_or("none", Flaw::word))),
            ],
        }
    }

    fn broken(&self, design: &Design, fault: Flaw, draw: &mut Draw) -> String {
        let right = design.verilog("TopModule");
        match fault {
            Flaw::Function => design.of("TopModule", &design.mistaken(), design.width),
            Flaw::Width if design.bits() > 1 => {
                design.of("TopModule", &design.value(design.function), design.width - 1)
            }
            Flaw::Width => design.of("TopModule", &format!("~({})", design.value(design.function)), design.width),
            Flaw::Name => {
                let is_free = |c: &char| *c != design.output && !design.inputs.contains(c);
                let free: Vec<char> = self.letters().into_iter().filter(is_free).collect();
                let mut wrong = design.clone();
                let last = wrong.inputs.len() - 1;
                wrong.inputs[last] = *draw.of_these(&free);
                design.of("TopModule", &wrong.value(design.function), design.width)
            }
            // The last one, before `endmodule`.
            Flaw::Syntax => right.replacen(";endmodule", " endmodule", 1),
        }
    }
}

impl Function {
    fn inputs(self) -> usize {
        if self == Function::Mux { 3 } else { 2 }
    }

    fn is_clocked(self) -> bool {
        matches!(self, Function::Count(_) | Function::Shift)
    }

    fn word(self) -> &'static str {
        match self {
            Function::And => "and",
            Function::Or => "or",
            Function::Xor => "xor",
            Function::Nand => "nand",
            Function::Nor => "nor",
            Function::Xnor => "xnor",
            Function::Mux => "mux",
            Function::Add => "add",
            Function::Subtract => "sub",
            Function::Less => "less",
            Function::More => "more",
            Function::Same => "same",
            Function::Count(_) => "count",
            Function::Shift => "shift",
        }
    }

    /// One that a testbench tells from it, where there is one of the same inputs.
    fn other(self) -> Option<Self> {
        Some(match self {
            Function::And => Function::Or,
            Function::Or => Function::Xor,
            Function::Xor => Function::And,
            Function::Nand => Function::Nor,
            Function::Nor => Function::Xnor,
            Function::Xnor => Function::Nand,
            Function::Add => Function::Subtract,
            Function::Subtract => Function::Add,
            Function::Less => Function::More,
            Function::More => Function::Same,
            Function::Same => Function::Less,
            Function::Count(Polarity::High) => Function::Count(Polarity::Low),
            Function::Count(Polarity::Low) => Function::Count(Polarity::High),
            Function::Mux | Function::Shift => return None,
        })
    }
}

impl Design {
    fn prompt(&self) -> String {
        let Self { function, output, inputs, width } = self;
        let mut names: Vec<String> = inputs.iter().map(char::to_string).collect();
        if let (Function::Count(polarity), Some(reset)) = (function, names.last_mut()) {
            reset.push(if *polarity == Polarity::High { '+' } else { '-' });
        }
        let width = if *width > 1 { format!(" {width}") } else { String::new() };
        format!("{output}={} {}{width}", function.word(), names.join(" "))
    }

    /// Of the output.
    fn bits(&self) -> u64 {
        match self.function {
            Function::Less | Function::More | Function::Same => 1,
            _ => self.width,
        }
    }

    /// What the output is set to.
    fn value(&self, function: Function) -> String {
        let (y, a, b) = (self.output, self.inputs[0], self.inputs[1]);
        match function {
            Function::And => format!("{a}&{b}"),
            Function::Or => format!("{a}|{b}"),
            Function::Xor => format!("{a}^{b}"),
            Function::Nand => format!("~({a}&{b})"),
            Function::Nor => format!("~({a}|{b})"),
            Function::Xnor => format!("~({a}^{b})"),
            Function::Mux => format!("{a}?{b}:{}", self.inputs[2]),
            Function::Add => format!("{a}+{b}"),
            Function::Subtract => format!("{a}-{b}"),
            Function::Less => format!("{a}<{b}"),
            Function::More => format!("{a}>{b}"),
            Function::Same => format!("{a}=={b}"),
            Function::Count(Polarity::High) => format!("{b}?0:{y}+1"),
            Function::Count(Polarity::Low) => format!("{b}?{y}+1:0"),
            Function::Shift => format!("{{{y},{b}}}"),
        }
    }

    /// What the output is set to by mistake: another function, inputs exchanged, or no shift.
    fn mistaken(&self) -> String {
        let (a, b) = (self.inputs[0], self.inputs[1]);
        match (self.function.other(), self.function) {
            (Some(other), _) => self.value(other),
            (None, Function::Mux) => format!("{a}?{}:{b}", self.inputs[2]),
            (None, _) => b.to_string(),
        }
    }

    fn verilog(&self, module: &str) -> String {
        self.of(module, &self.value(self.function), self.width)
    }

    /// A module that sets its output to `value`, with an output of so many bits where it has more than one.
    fn of(&self, module: &str, value: &str, width: u64) -> String {
        let Self { function, output, inputs, .. } = self;
        let bus = |bits: u64| if bits > 1 { format!("[{}:0]", bits - 1) } else { String::new() };
        let out = bus(if self.bits() > 1 { width } else { 1 });
        let joined = |names: &[char]| names.iter().map(char::to_string).collect::<Vec<_>>().join(",");
        if function.is_clocked() {
            let clock = inputs[0];
            return format!(
                "module {module}(input {},output reg{out} {output});always@(posedge {clock}){output}<={value};endmodule",
                joined(inputs)
            );
        }
        let ports = match function {
            Function::Mux => format!("input {},input{} {}", inputs[0], bus(self.width), joined(&inputs[1..])),
            _ => format!("input{} {}", bus(self.width), joined(inputs)),
        };
        format!("module {module}({ports},output{out} {output});assign {output}={value};endmodule")
    }

    /// All inputs are drawn anew at each edge of a clock, which is the circuit's where it has one.
    fn testbench(&self) -> String {
        let Self { function, output, inputs, width } = self;
        let bus = |bits: u64| if bits > 1 { format!("[{}:0] ", bits - 1) } else { String::new() };
        let of_input = |i: usize| match function {
            Function::Mux if i == 0 => 1,
            Function::Count(_) | Function::Shift => 1,
            _ => *width,
        };
        let (clock, drawn) = match function.is_clocked() {
            true => (inputs[0].to_string(), &inputs[1..]),
            false => ("tick".to_owned(), &inputs[..]),
        };
        let first = inputs.len() - drawn.len();
        let declared: String =
            drawn.iter().enumerate().map(|(i, name)| format!("reg {}{name};", bus(of_input(first + i)))).collect();
        // A counter is reset at first, so that it has a value.
        let reset = match function {
            Function::Count(Polarity::High) => format!("{}=1;", drawn[0]),
            Function::Count(Polarity::Low) => format!("{}=0;", drawn[0]),
            _ => String::new(),
        };
        let draw: String = drawn
            .iter()
            .map(|name| match function {
                // Rarely reset, so that it counts.
                Function::Count(Polarity::High) => format!("{name}<=$urandom%8==0;"),
                Function::Count(Polarity::Low) => format!("{name}<=$urandom%8!=0;"),
                _ => format!("{name}<=$urandom;"),
            })
            .collect();
        let ports: String = inputs.iter().map(|name| format!(".{name}({name}),")).collect();
        let out = bus(self.bits());
        format!(
            "`timescale 1 ps/1 ps\nmodule tb();\nreg {clock}=0;{declared}wire {out}want,got;integer errors=0,count=0;\n\
             RefModule good({ports}.{output}(want));\nTopModule dut({ports}.{output}(got));\n\
             initial begin {reset}repeat(80) begin #5 {clock}=1;#1 count=count+1;if(want!==(want^got^want))errors=errors+1;\n\
             #4 {clock}=0;{draw}#1 count=count+1;if(want!==(want^got^want))errors=errors+1;end\n\
             $display(\"Mismatches: %1d in %1d samples\",errors,count);$finish;end\nendmodule\n"
        )
    }
}
