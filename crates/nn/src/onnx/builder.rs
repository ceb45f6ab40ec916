//! Grows a [`Graph`] node by node, folding whatever depends on constants alone.
//!
//! Lowering functions describe an ONNX operator as applications of IR operators to
//! [`Operand`]s with [`Builder::emit`]. If all operands are literals the application is computed
//! at once (floating point by the reference executor, rearrangements of integers by the same
//! loops), otherwise it becomes a node. The memory and the time that folding may take are bounded.

use super::error::{LoadError, Problem, invalid, unsupported};
use super::literal::{Elements, Literal};
use crate::graph::ir::{Binary, Unary};
use crate::graph::shape;
use crate::graph::{Node, NodeId, Op, Tensor, Value, ValueId};
use crate::reference;
use std::collections::HashSet;
use std::sync::Arc;

/// Index of a literal in the builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LiteralId(usize);

/// What a name of the file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// A constant.
    Literal(LiteralId),
    /// Something that depends on the image.
    Value(ValueId),
}

struct Slot {
    literal: Literal,
    /// Name in the file, if it has one.
    name: Option<String>,
    /// The constant of the graph, once an operator reads it.
    value: Option<ValueId>,
}

/// Steps that constant folding may take in all: a fraction of a second, plus what it takes to
/// rearrange all weights of the file.
const FOLD_WORK: u64 = 1 << 28;

/// Steps allowed for every byte of constants that may be computed.
const FOLD_WORK_PER_BYTE: u64 = 8;

/// A graph under construction.
pub(super) struct Builder {
    /// Values so far; an empty name is one not given yet.
    pub values: Vec<Value>,
    /// Nodes so far, topologically ordered.
    pub nodes: Vec<Node>,
    /// Images per batch.
    pub batch: usize,
    literals: Vec<Slot>,
    taken_names: HashSet<String>,
    fold_bytes: u64,
    fold_bytes_limit: u64,
    fold_work: u64,
}

/// Sizes of a [`Builder`] before a node is lowered.
pub(super) struct Mark {
    values: usize,
    nodes: usize,
}

impl Builder {
    /// An empty graph. `taken_names` are those of the file, which derived names avoid;
    /// `fold_bytes_limit` bounds the constants computed here.
    pub fn new(batch: usize, taken_names: HashSet<String>, fold_bytes_limit: u64) -> Self {
        Self {
            values: Vec::new(),
            nodes: Vec::new(),
            batch,
            literals: Vec::new(),
            taken_names,
            fold_bytes: 0,
            fold_bytes_limit,
            fold_work: 0,
        }
    }

    /// Adds a value without a producer.
    pub fn add_value(
        &mut self,
        name: String,
        shape: Vec<usize>,
        constant: Option<Tensor>,
        producer: Option<NodeId>,
    ) -> Result<ValueId, Problem> {
        let Ok(index) = u32::try_from(self.values.len()) else {
            return unsupported!("the graph has more than {} values", u32::MAX);
        };
        self.values.push(Value {
            name,
            shape,
            constant,
            producer,
        });
        Ok(ValueId(index))
    }

    /// Adds a constant of the file.
    pub fn add_literal(&mut self, literal: Literal, name: Option<String>) -> Operand {
        self.literals.push(Slot {
            literal,
            name,
            value: None,
        });
        Operand::Literal(LiteralId(self.literals.len() - 1))
    }

    /// Adds a constant computed while loading, against the limit.
    pub fn add_computed(&mut self, literal: Literal) -> Result<Operand, Problem> {
        self.charge_bytes(literal.elements.len())?;
        Ok(self.add_literal(literal, None))
    }

    /// Adds a scalar.
    pub fn scalar(&mut self, value: f32) -> Operand {
        self.add_literal(Literal::scalar(value), None)
    }

    /// Reserves memory for a computed constant of `count` elements.
    pub fn charge_bytes(&mut self, count: usize) -> Result<(), Problem> {
        // Eight bytes are the widest element, 64 the bookkeeping of even the smallest constant.
        self.fold_bytes = self.fold_bytes.saturating_add(count as u64 * 8 + 64);
        if self.fold_bytes > self.fold_bytes_limit {
            let limit = self.fold_bytes_limit;
            return Err(LoadError::TooLarge {
                what: "computed constants".to_owned(),
                limit,
            }
            .into());
        }
        Ok(())
    }

    /// Shape of an operand.
    pub fn shape(&self, operand: Operand) -> Vec<usize> {
        match operand {
            Operand::Literal(LiteralId(index)) => self.literals[index].literal.shape.clone(),
            Operand::Value(id) => self.values[id.index()].shape.clone(),
        }
    }

    /// The literal behind an operand, if it is one.
    pub fn literal(&self, operand: Operand) -> Option<&Literal> {
        match operand {
            Operand::Literal(LiteralId(index)) => Some(&self.literals[index].literal),
            Operand::Value(_) => None,
        }
    }

    /// The literal behind an operand that must be constant; `what` names its role.
    pub fn constant(&self, operand: Operand, what: &str) -> Result<&Literal, Problem> {
        match self.literal(operand) {
            Some(literal) => Ok(literal),
            None => unsupported!("{what} depends on the image"),
        }
    }

    /// Constant integers.
    pub fn ints(&self, operand: Operand, what: &str) -> Result<Vec<i64>, Problem> {
        Ok(self.constant(operand, what)?.as_ints()?.to_vec())
    }

    /// One constant floating-point number.
    pub fn float(&self, operand: Operand, what: &str) -> Result<f32, Problem> {
        self.constant(operand, what)?.as_float()
    }

    /// The graph's value for an operand; a literal becomes a constant the first time.
    fn value(&mut self, operand: Operand) -> Result<ValueId, Problem> {
        let index = match operand {
            Operand::Value(id) => return Ok(id),
            Operand::Literal(LiteralId(index)) => index,
        };
        let Slot {
            literal,
            name,
            value,
        } = &self.literals[index];
        if let Some(id) = value {
            return Ok(*id);
        }
        let Elements::Floats(data) = &literal.elements else {
            let name = name.as_deref().unwrap_or("computed");
            return unsupported!("constant {name:?} of integers meets image data");
        };
        let name = name.clone().unwrap_or_default();
        if data.iter().any(|x| !x.is_finite()) {
            let name = if name.is_empty() {
                "computed while loading".to_owned()
            } else {
                name
            };
            return Err(LoadError::NotFinite(name).into());
        }
        shape::element_count(&literal.shape)?;
        let tensor = Tensor {
            shape: literal.shape.clone(),
            data: Arc::clone(data),
        };
        let id = self.add_value(name, literal.shape.clone(), Some(tensor), None)?;
        self.literals[index].value = Some(id);
        Ok(id)
    }

    /// Applies an operator whose one output follows from its operands.
    pub fn emit(&mut self, op: Op, operands: &[Operand]) -> Result<Operand, Problem> {
        self.emit_one(op, operands, &[])
    }

    /// Applies an operator whose output shape the caller chooses.
    pub fn emit_as(
        &mut self,
        op: Op,
        operands: &[Operand],
        wanted: Vec<usize>,
    ) -> Result<Operand, Problem> {
        self.emit_one(op, operands, &[wanted])
    }

    fn emit_one(
        &mut self,
        op: Op,
        operands: &[Operand],
        wanted: &[Vec<usize>],
    ) -> Result<Operand, Problem> {
        match self.emit_all(op, operands, wanted)?.first() {
            Some(output) => Ok(*output),
            None => invalid!("the operator has no output"),
        }
    }

    /// Applies an operator; one result per output.
    pub fn emit_all(
        &mut self,
        op: Op,
        operands: &[Operand],
        wanted: &[Vec<usize>],
    ) -> Result<Vec<Operand>, Problem> {
        let shapes: Vec<Vec<usize>> = operands
            .iter()
            .map(|&operand| self.shape(operand))
            .collect();
        let views: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let outputs = shape::infer(&op, &views, wanted)?;
        let literals: Option<Vec<&Literal>> = operands
            .iter()
            .map(|&operand| self.literal(operand))
            .collect();
        if literals.is_some() {
            return self.fold(&op, operands, &outputs);
        }
        let inputs = operands
            .iter()
            .map(|&operand| self.value(operand))
            .collect::<Result<Vec<_>, Problem>>()?;
        let Ok(index) = u32::try_from(self.nodes.len()) else {
            return unsupported!("the graph has more than {} nodes", u32::MAX);
        };
        let ids = outputs
            .into_iter()
            .map(|shape| self.add_value(String::new(), shape, None, Some(NodeId(index))))
            .collect::<Result<Vec<_>, _>>()?;
        self.nodes.push(Node {
            name: String::new(),
            op,
            inputs,
            outputs: ids.clone(),
        });
        Ok(ids.into_iter().map(Operand::Value).collect())
    }

    /// Computes an operator on literals.
    fn fold(
        &mut self,
        op: &Op,
        operands: &[Operand],
        outputs: &[Vec<usize>],
    ) -> Result<Vec<Operand>, Problem> {
        for output in outputs {
            self.charge_bytes(output.iter().product())?;
        }
        let literals: Vec<Literal> = operands
            .iter()
            .filter_map(|&operand| self.literal(operand).cloned())
            .collect();
        self.fold_work = self
            .fold_work
            .saturating_add(fold_work(op, &literals, outputs));
        let limit = self
            .fold_bytes_limit
            .saturating_mul(FOLD_WORK_PER_BYTE)
            .max(FOLD_WORK);
        if self.fold_work > limit {
            return unsupported!("constants take more than {limit} steps to compute");
        }
        let folded = fold_floats(op, &literals, outputs)
            .or_else(|| {
                fold_moves(
                    op,
                    &literals,
                    outputs,
                    |elements| match elements {
                        Elements::Ints(data) => Some(data),
                        _ => None,
                    },
                    Elements::Ints,
                )
            })
            .or_else(|| {
                fold_moves(
                    op,
                    &literals,
                    outputs,
                    |elements| match elements {
                        Elements::Bools(data) => Some(data),
                        _ => None,
                    },
                    Elements::Bools,
                )
            });
        match folded {
            Some(results) => Ok(results
                .into_iter()
                .map(|literal| self.add_literal(literal, None))
                .collect()),
            None => unsupported!("the operator is applied to constants that are no floats"),
        }
    }

    /// `a` op `b`.
    pub fn binary(&mut self, function: Binary, a: Operand, b: Operand) -> Result<Operand, Problem> {
        self.emit(Op::Binary(function), &[a, b])
    }

    /// `function(x)`.
    pub fn unary(&mut self, function: Unary, x: Operand) -> Result<Operand, Problem> {
        self.emit(Op::Unary(function), &[x])
    }

    /// `x` read as `shape`; `x` itself if it has that shape.
    pub fn reshape(&mut self, x: Operand, shape: Vec<usize>) -> Result<Operand, Problem> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.emit_as(Op::Reshape, &[x], shape)
    }

    /// Where the builder stands before a node is lowered.
    pub fn mark(&self) -> Mark {
        Mark {
            values: self.values.len(),
            nodes: self.nodes.len(),
        }
    }

    /// Names what a node of the file was lowered to: its outputs as in the file, intermediate
    /// values and constants after the first output. Returns the name each output really has.
    pub fn name_outputs(
        &mut self,
        mark: &Mark,
        node_name: &str,
        outputs: &[(String, Operand)],
    ) -> Vec<(String, String)> {
        let mut aliases = Vec::new();
        for (name, operand) in outputs {
            let given = match operand {
                Operand::Value(id) => &mut self.values[id.index()].name,
                Operand::Literal(LiteralId(index)) => {
                    self.literals[*index].name.get_or_insert_default()
                }
            };
            if given.is_empty() {
                given.clone_from(name);
            } else if given != name {
                aliases.push((name.clone(), given.clone()));
            }
        }
        let stem = outputs.first().map_or(node_name, |(name, _)| name.as_str());
        let mut number = 0;
        for index in mark.values..self.values.len() {
            if self.values[index].name.is_empty() {
                self.values[index].name = self.derived_name(stem, &mut number);
            }
        }
        let is_single = self.nodes.len() - mark.nodes == 1;
        for node in &mut self.nodes[mark.nodes..] {
            let first = node
                .outputs
                .first()
                .map_or("", |id| self.values[id.index()].name.as_str());
            node.name = if is_single || first == stem {
                node_name
            } else {
                first
            }
            .to_owned();
        }
        aliases
    }

    /// An unused name that begins with `stem`; `number` counts on from one call to the next.
    fn derived_name(&mut self, stem: &str, number: &mut usize) -> String {
        loop {
            *number += 1;
            let candidate = format!("{stem}/{number}");
            if self.taken_names.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

/// Multiply-adds, or elements moved, of an operator.
fn fold_work(op: &Op, operands: &[Literal], outputs: &[Vec<usize>]) -> u64 {
    let count = |shape: &[usize]| shape.iter().fold(1u64, |a, &b| a.saturating_mul(b as u64));
    let reads: u64 = operands.iter().map(|literal| count(&literal.shape)).sum();
    let writes: u64 = outputs.iter().map(|shape| count(shape)).sum();
    let operand = |index: usize| {
        operands
            .get(index)
            .map_or(&[][..], |literal| &literal.shape)
    };
    let per_output = match op {
        Op::Conv(_) => count(operand(1).get(1..).unwrap_or_default()),
        // Every input meets every kernel element.
        Op::ConvTranspose(_) => {
            return count(operand(0))
                .saturating_mul(count(operand(1).get(1..).unwrap_or_default()));
        }
        Op::Gemm { .. } | Op::MatMul => operand(0)
            .iter()
            .chain(operand(1))
            .copied()
            .max()
            .unwrap_or(1) as u64,
        Op::Lrn { size, .. } => (*size).min(operand(0).get(1).copied().unwrap_or(1)) as u64,
        Op::MaxPool(pool) | Op::AveragePool(pool) => count(&pool.kernel),
        Op::Resize { .. } => 1 << operand(0).len(),
        _ => 8,
    };
    writes
        .saturating_mul(per_output)
        .saturating_add(reads.saturating_mul(4))
}

fn fold_floats(op: &Op, operands: &[Literal], outputs: &[Vec<usize>]) -> Option<Vec<Literal>> {
    let tensors: Option<Vec<Tensor>> = operands
        .iter()
        .map(|literal| match &literal.elements {
            Elements::Floats(data) => Some(Tensor {
                shape: literal.shape.clone(),
                data: Arc::clone(data),
            }),
            _ => None,
        })
        .collect();
    let tensors = tensors?;
    let views: Vec<&Tensor> = tensors.iter().collect();
    let results = reference::evaluate(op, &views, outputs).ok()?;
    let literal = |tensor: Tensor| Literal {
        shape: tensor.shape,
        elements: Elements::Floats(tensor.data),
    };
    Some(results.into_iter().map(literal).collect())
}

/// Rearranges literals of one element type.
fn fold_moves<T: Copy>(
    op: &Op,
    operands: &[Literal],
    outputs: &[Vec<usize>],
    data_of: impl Fn(&Elements) -> Option<&Arc<[T]>>,
    wrap: impl Fn(Arc<[T]>) -> Elements,
) -> Option<Vec<Literal>> {
    let parts: Option<Vec<(&[usize], &[T])>> = operands
        .iter()
        .map(|literal| Some((literal.shape.as_slice(), &**data_of(&literal.elements)?)))
        .collect();
    let results = reference::rearrange(op, &parts?, outputs)?;
    let literals = results.into_iter().zip(outputs);
    Some(
        literals
            .map(|(data, shape)| Literal {
                shape: shape.clone(),
                elements: wrap(data.into()),
            })
            .collect(),
    )
}
