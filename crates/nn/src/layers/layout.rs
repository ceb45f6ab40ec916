//! Where the channels, rows and columns of an image tensor lie among its axes.
//!
//! Networks move channels around: a channel shuffle is Reshape - Transpose - Reshape, a
//! channels-last block transposes twice, a classifier flattens `[C, H, W]`. Instead of pushing one
//! label per element through these operators, each axis is written as a row-major list of *atoms*:
//! digits of the channel, row or column index. Reshape splits and joins atoms, Transpose permutes
//! axes, and the permutation of the channels falls out at the end.
//!
//! Atoms of extent 1 are not kept, so a tensor of `n` elements has at most `log2 n` of them: every
//! operation here is cheap except [`Layout::renumber`], which lists each channel once.

use crate::graph::ir::ResizeCoordinates;

/// What an atom counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Images.
    Batch,
    /// Channels, in the numbering of the tensor.
    Channel,
    /// Rows of the map.
    Row,
    /// Columns of the map.
    Column,
    /// Anything else (tokens added, sums over positions, attention weights).
    Other,
}

/// One digit of an index: it contributes `digit * stride` to the index of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Atom {
    pub(crate) role: Role,
    /// Number of values of the digit, at least 2.
    pub(crate) extent: usize,
    /// Weight of the digit.
    pub(crate) stride: usize,
}

/// The axes of one tensor as atoms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Per axis its atoms, outermost first; empty for extent 1.
    pub(crate) axes: Vec<Vec<Atom>>,
    /// Channels of the tensor's numbering; 0 where channels cannot be told apart.
    pub(crate) channels: usize,
}

/// `(source channel, result channel)`, sorted by result channel.
pub(crate) type Pairs = Vec<(u32, u32)>;

/// A whole axis of one role.
fn whole(role: Role, extent: usize) -> Vec<Atom> {
    if extent == 1 {
        Vec::new()
    } else {
        vec![Atom {
            role,
            extent,
            stride: 1,
        }]
    }
}

impl Layout {
    /// `[N, C, H, W]`.
    pub(crate) fn image(shape: &[usize]) -> Option<Self> {
        let &[batch, channels, height, width] = shape else {
            return None;
        };
        Some(Self {
            axes: vec![
                whole(Role::Batch, batch),
                whole(Role::Channel, channels),
                whole(Role::Row, height),
                whole(Role::Column, width),
            ],
            channels,
        })
    }

    /// Axes of unknown meaning.
    pub(crate) fn unknown(shape: &[usize]) -> Self {
        Self {
            axes: shape
                .iter()
                .map(|&extent| whole(Role::Other, extent))
                .collect(),
            channels: 0,
        }
    }

    /// Atoms of a role over all axes, in order of occurrence.
    fn atoms(&self, role: Role) -> impl Iterator<Item = &Atom> {
        self.axes
            .iter()
            .flatten()
            .filter(move |atom| atom.role == role)
    }

    /// Number of index values of a role present in the tensor.
    pub(crate) fn extent(&self, role: Role) -> usize {
        self.atoms(role).map(|atom| atom.extent).product()
    }

    /// Every channel of the numbering occurs.
    pub(crate) fn has_channels(&self) -> bool {
        self.channels > 0 && self.extent(Role::Channel) == self.channels
    }

    /// The axis holds an atom of this role.
    pub(crate) fn axis_has(&self, axis: usize, role: Role) -> bool {
        self.axes
            .get(axis)
            .is_some_and(|atoms| atoms.iter().any(|atom| atom.role == role))
    }

    /// The axis is exactly the whole index of this role (or both have extent 1).
    pub(crate) fn axis_is(&self, axis: usize, role: Role) -> bool {
        let Some(atoms) = self.axes.get(axis) else {
            return false;
        };
        match atoms.as_slice() {
            [] => self.atoms(role).next().is_none(),
            [atom] => atom.role == role && atom.stride == 1 && self.atoms(role).count() == 1,
            _ => false,
        }
    }

    /// The axis is the channel index. A single channel lives on axis 1 by convention.
    pub(crate) fn is_channel_axis(&self, axis: usize) -> bool {
        self.has_channels() && self.axis_is(axis, Role::Channel) && (self.channels > 1 || axis == 1)
    }

    /// `[N, C, ...]` of rank 4: what a convolution reads and a layer is.
    pub(crate) fn is_channel_first(&self) -> bool {
        self.axes.len() == 4
            && self.is_channel_axis(1)
            && !self.axis_has(0, Role::Row)
            && !self.axis_has(0, Role::Column)
            && !self.axis_has(2, Role::Column)
            && !self.axis_has(3, Role::Row)
    }

    /// The same tensor with its channels no longer told apart.
    pub(crate) fn without_channels(mut self) -> Self {
        for atom in self.axes.iter_mut().flatten() {
            if atom.role == Role::Channel {
                atom.role = Role::Other;
            }
        }
        self.channels = 0;
        self
    }

    /// Replaces what an axis holds by `extent` values of unknown meaning.
    pub(crate) fn set_other(&mut self, axis: usize, extent: usize) {
        if let Some(atoms) = self.axes.get_mut(axis) {
            *atoms = whole(Role::Other, extent);
        }
    }

    /// Replaces the axis by a fresh channel index; the caller has removed all other channel atoms.
    pub(crate) fn set_channels(&mut self, axis: usize, channels: usize) {
        if let Some(atoms) = self.axes.get_mut(axis) {
            *atoms = whole(Role::Channel, channels);
            self.channels = channels;
        }
    }

    /// Changes the extent of an axis. A whole row or column index stays one; channels can no longer
    /// be told apart; anything else loses its meaning.
    pub(crate) fn resize_axis(&mut self, axis: usize, extent: usize) {
        let Some(atoms) = self.axes.get(axis) else {
            return;
        };
        if product(atoms) == extent {
            return;
        }
        let role = match (atoms.is_empty(), self.axes.len(), axis) {
            // An empty axis of an image is named by its position.
            (true, 4, 2) if self.axis_is(2, Role::Row) => Role::Row,
            (true, 4, 3) if self.axis_is(3, Role::Column) => Role::Column,
            (false, ..) if self.axis_is(axis, Role::Row) => Role::Row,
            (false, ..) if self.axis_is(axis, Role::Column) => Role::Column,
            _ => Role::Other,
        };
        if self.axis_has(axis, Role::Channel) {
            *self = self.clone().without_channels();
        }
        if let Some(atoms) = self.axes.get_mut(axis) {
            *atoms = whole(role, extent);
        }
    }

    /// Row-major reshape; `None` where an extent cuts through a digit.
    pub(crate) fn reshape(&self, shape: &[usize]) -> Option<Self> {
        let mut queue: Vec<Atom> = self.axes.iter().flatten().rev().copied().collect();
        let mut axes = Vec::with_capacity(shape.len());
        for &extent in shape {
            let mut atoms = Vec::new();
            let mut need = extent;
            while need > 1 {
                let atom = queue.pop()?;
                if need.is_multiple_of(atom.extent) {
                    need /= atom.extent;
                    atoms.push(atom);
                } else if atom.extent.is_multiple_of(need) {
                    let inner = atom.extent / need;
                    atoms.push(Atom {
                        extent: need,
                        stride: atom.stride.checked_mul(inner)?,
                        ..atom
                    });
                    queue.push(Atom {
                        extent: inner,
                        ..atom
                    });
                    need = 1;
                } else {
                    return None;
                }
            }
            axes.push(join(atoms));
        }
        queue.is_empty().then_some(Self {
            axes,
            channels: self.channels,
        })
    }

    /// Output axis k is input axis `perm[k]`.
    pub(crate) fn transpose(&self, perm: &[usize]) -> Option<Self> {
        let axes = perm
            .iter()
            .map(|&axis| self.axes.get(axis).cloned())
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            axes,
            channels: self.channels,
        })
    }

    /// Keeps the listed positions of an axis that holds channel atoms only (none: all positions of
    /// all axes) and numbers the remaining channels in order of occurrence.
    ///
    /// Returns the pairs `(old, new)`, or `None` where the axis holds something else too.
    pub(crate) fn renumber(&self, keep: Option<(usize, &[usize])>) -> Option<(Self, Pairs)> {
        if !self.has_channels() {
            return None;
        }
        // One list of old offsets per axis; the new index is row-major over these lists.
        let mut axes = self.axes.clone();
        let mut lists: Vec<Vec<usize>> = Vec::new();
        let mut kept_axis_extent = None;
        for (axis, atoms) in self.axes.iter().enumerate() {
            let mut offsets = vec![0_usize];
            for atom in atoms.iter().filter(|atom| atom.role == Role::Channel) {
                offsets = offsets
                    .iter()
                    .flat_map(|&base| (0..atom.extent).map(move |digit| base + digit * atom.stride))
                    .collect();
            }
            if let Some((_, positions)) = keep.filter(|&(kept, _)| kept == axis) {
                if atoms.iter().any(|atom| atom.role != Role::Channel) {
                    return None;
                }
                offsets = positions
                    .iter()
                    .map(|&position| offsets.get(position).copied())
                    .collect::<Option<_>>()?;
                kept_axis_extent = Some((axis, offsets.len()));
            }
            lists.push(offsets);
        }
        if let Some((axis, extent)) = kept_axis_extent {
            axes[axis] = whole(Role::Channel, extent);
        }
        let channels: usize = lists.iter().map(Vec::len).product();
        let mut stride = channels;
        for atom in axes.iter_mut().flatten() {
            if atom.role == Role::Channel {
                stride /= atom.extent;
                atom.stride = stride;
            }
        }
        let mut sources = vec![0_usize];
        for list in &lists {
            sources = sources
                .iter()
                .flat_map(|&base| list.iter().map(move |&offset| base + offset))
                .collect();
        }
        let pairs = sources
            .iter()
            .enumerate()
            .map(|(new, &old)| Some((u32::try_from(old).ok()?, u32::try_from(new).ok()?)))
            .collect::<Option<Pairs>>()?;
        let axes = axes.into_iter().map(join).collect();
        Some((Self { axes, channels }, pairs))
    }

    /// Renumbers the channels where all of them have come to lie on one axis, but out of order:
    /// the end of a channel shuffle. `None` in `pairs` means nothing changed.
    pub(crate) fn settle(self) -> (Self, Option<Pairs>) {
        let holders = (0..self.axes.len())
            .filter(|&axis| self.axis_has(axis, Role::Channel))
            .count();
        let in_order = holders != 1 || self.atoms(Role::Channel).all(|atom| atom.stride == 1);
        if in_order {
            return (self, None);
        }
        match self.renumber(None) {
            Some((layout, pairs)) if pairs.iter().all(|&(old, new)| old == new) => (layout, None),
            Some((layout, pairs)) => (layout, Some(pairs)),
            None => (self, None),
        }
    }
}

/// Number of positions of an axis.
pub(crate) fn product(atoms: &[Atom]) -> usize {
    atoms.iter().map(|atom| atom.extent).product()
}

/// Joins neighbouring digits of the same index.
fn join(atoms: Vec<Atom>) -> Vec<Atom> {
    let mut joined: Vec<Atom> = Vec::with_capacity(atoms.len());
    for atom in atoms {
        match joined.last_mut() {
            Some(outer)
                if outer.role == atom.role
                    && atom.role != Role::Other
                    && outer.stride == atom.stride * atom.extent =>
            {
                outer.extent *= atom.extent;
                outer.stride = atom.stride;
            }
            _ => joined.push(atom),
        }
    }
    joined
}

/// Input coordinate of output position `x` as `(slope, offset)`: `slope * x + offset`.
pub(crate) fn resize_coordinates(
    coordinates: ResizeCoordinates,
    scale: f64,
    input: usize,
    output: usize,
) -> (f64, f64) {
    let slope = if scale > 0.0 { 1.0 / scale } else { 1.0 };
    match coordinates {
        ResizeCoordinates::HalfPixel => (slope, 0.5 * slope - 0.5),
        ResizeCoordinates::PytorchHalfPixel if output <= 1 => (0.0, 0.0),
        ResizeCoordinates::PytorchHalfPixel => (slope, 0.5 * slope - 0.5),
        ResizeCoordinates::AlignCorners if output <= 1 => (0.0, 0.0),
        ResizeCoordinates::AlignCorners => {
            let (last_in, last_out) = (input.saturating_sub(1), output - 1);
            (last_in as f64 / last_out as f64, 0.0)
        }
        ResizeCoordinates::Asymmetric => (slope, 0.0),
    }
}
