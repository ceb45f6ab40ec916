//! Constants known while loading: weights, and the integers of shape arithmetic.
//!
//! A [`Literal`] lives only during loading. Floating-point ones that an operator reads become
//! constants of the graph, all others disappear with the shape arithmetic they belong to.

use super::error::{Problem, invalid, unsupported};
use crate::graph::shape::MAX_RANK;
use std::sync::Arc;

/// Elements of a literal, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    /// float16, bfloat16, float32 and float64.
    Floats(Arc<[f32]>),
    /// All integer types.
    Ints(Arc<[i64]>),
    /// Truth values.
    Bools(Arc<[bool]>),
}

/// A constant tensor; unlike those of a graph it may be empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    /// Extents, outermost axis first.
    pub shape: Vec<usize>,
    /// `shape.product()` elements.
    pub elements: Elements,
}

impl Elements {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(data) => data.len(),
            Self::Ints(data) => data.len(),
            Self::Bools(data) => data.len(),
        }
    }

    /// As floating-point numbers (true is 1).
    pub fn to_floats(&self) -> Arc<[f32]> {
        match self {
            Self::Floats(data) => Arc::clone(data),
            Self::Ints(data) => data.iter().map(|&x| x as f32).collect(),
            Self::Bools(data) => data.iter().map(|&x| f32::from(u8::from(x))).collect(),
        }
    }

    /// As integers, truncated towards zero (true is 1).
    pub fn to_ints(&self) -> Arc<[i64]> {
        match self {
            Self::Floats(data) => data.iter().map(|&x| x as i64).collect(),
            Self::Ints(data) => Arc::clone(data),
            Self::Bools(data) => data.iter().map(|&x| i64::from(x)).collect(),
        }
    }

    /// As truth values (not 0 is true).
    pub fn to_bools(&self) -> Arc<[bool]> {
        match self {
            Self::Floats(data) => data.iter().map(|&x| x != 0.0).collect(),
            Self::Ints(data) => data.iter().map(|&x| x != 0).collect(),
            Self::Bools(data) => Arc::clone(data),
        }
    }
}

impl Literal {
    /// A scalar.
    pub fn scalar(value: f32) -> Self {
        Self {
            shape: Vec::new(),
            elements: Elements::Floats([value].into()),
        }
    }

    /// A list of integers.
    pub fn ints(values: &[i64]) -> Self {
        Self {
            shape: vec![values.len()],
            elements: Elements::Ints(values.into()),
        }
    }

    /// Integers of a scalar or a list.
    pub fn as_ints(&self) -> Result<&[i64], Problem> {
        match &self.elements {
            Elements::Ints(data) if self.shape.len() <= 1 => Ok(data),
            _ => invalid!(
                "a list of integers is expected, found shape {:?}",
                self.shape
            ),
        }
    }

    /// The number in a floating-point literal of one element.
    pub fn as_float(&self) -> Result<f32, Problem> {
        match &self.elements {
            Elements::Floats(data) if data.len() == 1 => Ok(data[0]),
            _ => invalid!(
                "one floating-point number is expected, found shape {:?}",
                self.shape
            ),
        }
    }
}

/// Number of elements of a literal's shape, which may be 0.
pub(super) fn literal_count(shape: &[usize]) -> Result<usize, Problem> {
    let count = shape
        .iter()
        .try_fold(1usize, |count, &extent| count.checked_mul(extent));
    match count {
        Some(count) if count <= crate::graph::shape::MAX_ELEMENTS && shape.len() <= MAX_RANK => {
            Ok(count)
        }
        _ => invalid!("a constant of shape {shape:?} is too large"),
    }
}

/// Extents from a file's integers.
pub(super) fn to_extents(dims: &[i64]) -> Result<Vec<usize>, Problem> {
    dims.iter()
        .map(|&dim| match usize::try_from(dim) {
            Ok(extent) => Ok(extent),
            Err(_) => invalid!("an extent is negative in shape {dims:?}"),
        })
        .collect()
}

/// The axis an ONNX `axis` number means in a tensor of `rank` axes; negative ones count from the
/// end.
pub(super) fn normalize_axis(axis: i64, rank: usize) -> Result<usize, Problem> {
    let signed_rank = rank as i64;
    match axis {
        axis if (0..signed_rank).contains(&axis) => Ok(axis as usize),
        axis if (-signed_rank..0).contains(&axis) => Ok((axis + signed_rank) as usize),
        _ => invalid!("axis {axis} does not exist in a tensor of rank {rank}"),
    }
}

/// Sorted, distinct axes.
pub(super) fn normalize_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, Problem> {
    let mut sorted = axes
        .iter()
        .map(|&axis| normalize_axis(axis, rank))
        .collect::<Result<Vec<_>, _>>()?;
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return invalid!("an axis appears twice in {axes:?}");
    }
    Ok(sorted)
}

/// Element-wise integer arithmetic by operator name, with NumPy broadcasting.
pub(super) fn integer_binary(
    operator: &str,
    left: &Literal,
    right: &Literal,
) -> Result<Literal, Problem> {
    let compute = |a: i64, b: i64| -> Option<i64> {
        match operator {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            "Div" => a.checked_div(b),
            // The sign is the divisor's, as in Python; "ModC" has the dividend's, as in C.
            "Mod" => a.checked_rem(b).map(|rest| {
                if rest != 0 && (rest < 0) != (b < 0) {
                    rest + b
                } else {
                    rest
                }
            }),
            "ModC" => a.checked_rem(b),
            "Pow" => a.checked_pow(u32::try_from(b).ok()?),
            "Max" => Some(a.max(b)),
            "Min" => Some(a.min(b)),
            _ => None,
        }
    };
    let (Elements::Ints(a), Elements::Ints(b)) = (&left.elements, &right.elements) else {
        return unsupported!("arithmetic mixes element types");
    };
    let pairs = broadcast_pairs(&left.shape, &right.shape)?;
    let values = pairs
        .positions
        .iter()
        .map(|&(i, j)| compute(*a.get(i)?, *b.get(j)?));
    match values.collect::<Option<Arc<[i64]>>>() {
        Some(data) => Ok(Literal {
            shape: pairs.shape,
            elements: Elements::Ints(data),
        }),
        None => invalid!("the integer arithmetic has no result"),
    }
}

/// Element-wise comparison or logic by operator name, with NumPy broadcasting.
pub(super) fn comparison(
    operator: &str,
    left: &Literal,
    right: &Literal,
) -> Result<Literal, Problem> {
    let pairs = broadcast_pairs(&left.shape, &right.shape)?;
    fn apply<T: PartialOrd + Copy>(
        operator: &str,
        pairs: &[(usize, usize)],
        left: &[T],
        right: &[T],
    ) -> Option<Arc<[bool]>> {
        let compare: fn(&T, &T) -> bool = match operator {
            "Equal" => |a, b| a == b,
            "Greater" => |a, b| a > b,
            "GreaterOrEqual" => |a, b| a >= b,
            "Less" => |a, b| a < b,
            "LessOrEqual" => |a, b| a <= b,
            // On truth values, where these are the logical functions.
            "And" => |a, b| a == b && a >= b,
            _ => return None,
        };
        pairs
            .iter()
            .map(|&(i, j)| Some(compare(left.get(i)?, right.get(j)?)))
            .collect()
    }
    fn logic(
        operator: &str,
        pairs: &[(usize, usize)],
        left: &[bool],
        right: &[bool],
    ) -> Option<Arc<[bool]>> {
        let combine: fn(bool, bool) -> bool = match operator {
            "And" => |a, b| a && b,
            "Or" => |a, b| a || b,
            "Xor" | "NotEqual" => |a, b| a != b,
            "Equal" => |a, b| a == b,
            _ => return None,
        };
        pairs
            .iter()
            .map(|&(i, j)| Some(combine(*left.get(i)?, *right.get(j)?)))
            .collect()
    }
    let data = match (&left.elements, &right.elements) {
        (Elements::Ints(a), Elements::Ints(b)) => apply(operator, &pairs.positions, a, b),
        (Elements::Floats(a), Elements::Floats(b)) => apply(operator, &pairs.positions, a, b),
        (Elements::Bools(a), Elements::Bools(b)) => logic(operator, &pairs.positions, a, b),
        _ => None,
    };
    match data {
        Some(data) => Ok(Literal {
            shape: pairs.shape,
            elements: Elements::Bools(data),
        }),
        None => invalid!("the operands cannot be compared"),
    }
}

/// `condition ? left : right` on integers or truth values, with NumPy broadcasting.
pub(super) fn select(
    condition: &Literal,
    left: &Literal,
    right: &Literal,
) -> Result<Literal, Problem> {
    // Numbers of the elements of `left ++ right`, so that one pass serves every element type.
    let pairs = broadcast_pairs(&left.shape, &right.shape)?;
    let mask = condition.elements.to_bools();
    let outer = broadcast_pairs(&condition.shape, &pairs.shape)?;
    let choices: Option<Vec<(bool, usize)>> = outer
        .positions
        .iter()
        .map(|&(at_mask, at_pair)| {
            let (i, j) = *pairs.positions.get(at_pair)?;
            Some(if *mask.get(at_mask)? {
                (true, i)
            } else {
                (false, j)
            })
        })
        .collect();
    fn pick<T: Copy>(choices: &[(bool, usize)], left: &[T], right: &[T]) -> Option<Arc<[T]>> {
        let of = |&(is_left, at): &(bool, usize)| {
            if is_left {
                left.get(at).copied()
            } else {
                right.get(at).copied()
            }
        };
        choices.iter().map(of).collect()
    }
    let choices = choices.unwrap_or_default();
    let elements = match (&left.elements, &right.elements) {
        (Elements::Ints(a), Elements::Ints(b)) => pick(&choices, a, b).map(Elements::Ints),
        (Elements::Bools(a), Elements::Bools(b)) => pick(&choices, a, b).map(Elements::Bools),
        (Elements::Floats(a), Elements::Floats(b)) => pick(&choices, a, b).map(Elements::Floats),
        _ => None,
    };
    match elements {
        Some(elements) => Ok(Literal {
            shape: outer.shape,
            elements,
        }),
        None => invalid!("the alternatives have different element types"),
    }
}

/// Which elements of two literals meet under broadcasting.
struct Pairs {
    shape: Vec<usize>,
    positions: Vec<(usize, usize)>,
}

/// Largest literal that integer arithmetic handles: shapes have a few elements, position indices
/// of resampling grids some thousand.
const MAX_ARITHMETIC_ELEMENTS: usize = 1 << 20;

fn broadcast_pairs(left: &[usize], right: &[usize]) -> Result<Pairs, Problem> {
    let shape = crate::graph::shape::broadcast(left, right)?;
    let count = literal_count(&shape)?;
    if count > MAX_ARITHMETIC_ELEMENTS {
        return unsupported!("integer arithmetic on shape {shape:?} is too large");
    }
    let position = |own: &[usize], flat: usize| {
        let mut rest = flat;
        let mut stride = 1;
        let mut position = 0;
        for axis in (0..shape.len()).rev() {
            let index = rest % shape[axis];
            rest /= shape[axis];
            if let Some(own_axis) = (axis + own.len()).checked_sub(shape.len()) {
                position += if own[own_axis] == 1 {
                    0
                } else {
                    index * stride
                };
                stride *= own[own_axis];
            }
        }
        position
    };
    let positions = (0..count)
        .map(|flat| (position(left, flat), position(right, flat)))
        .collect();
    Ok(Pairs { shape, positions })
}
