//! Decides where every stored value lies: format, aliasing, halo, buffer, and which buffers share
//! memory.

use super::fuse::{Group, readers};
use super::layout::{BufferId, Map, Place};
use super::phases::phases;
use crate::graph::ir::{Adjoint, Graph, Op, ValueId};

/// Result of placing a graph's values.
pub(crate) struct Placement {
    /// Per value; `None` for values fused away.
    pub(crate) places: Vec<Option<Place>>,
    /// Per buffer: index of its memory slot.
    pub(crate) slots: Vec<usize>,
    /// Elements per slot.
    pub(crate) slot_elements: Vec<usize>,
    /// Per group: buffers whose halo must be cleared before it runs.
    pub(crate) clear: Vec<Vec<BufferId>>,
    /// Per buffer: the whole map including halo, for images with a halo.
    pub(crate) halos: Vec<Option<Halo>>,
    /// Groups that need no work: their output lies inside another value.
    pub(crate) in_place: Vec<InPlace>,
}

/// Geometry of a buffer with a halo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Halo {
    /// View of the inside.
    pub(crate) map: Map,
    /// `[top, left, bottom, right]` pixels.
    pub(crate) pads: [usize; 4],
}

/// Relation of a group's output to its input's storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPlace {
    /// Separate storage.
    No,
    /// The output is a view of the input (Split, Slice): nothing to do.
    View,
    /// The function overwrites its input.
    Overwrite,
}

/// How a value is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Image,
    Flat,
}

pub(crate) fn is_channels_last(perm: &[usize]) -> bool {
    perm == [0, 2, 3, 1]
}

pub(crate) fn is_channels_first(perm: &[usize]) -> bool {
    perm == [0, 3, 1, 2]
}

pub(crate) fn image_shape(graph: &Graph, value: ValueId) -> Option<[usize; 4]> {
    graph.values[value.index()].shape.as_slice().try_into().ok()
}

/// `[kernel y, x]` of a convolution node's weight.
pub(crate) fn kernel_of(graph: &Graph, weight: ValueId) -> [usize; 2] {
    let shape = &graph.values[weight.index()].shape;
    [
        shape.get(2).copied().unwrap_or(1),
        shape.get(3).copied().unwrap_or(1),
    ]
}

/// Whether a convolution runs as Winograd: 3x3, stride 1, enough channels to pay.
pub(crate) fn uses_winograd(graph: &Graph, group: &Group) -> bool {
    let node = &graph.nodes[group.main.index()];
    let (Op::Conv(conv) | Op::ConvTranspose(conv)) = &node.op else {
        return false;
    };
    let weight = &graph.values[node.inputs[1].index()].shape;
    conv.groups == 1
        && weight.len() == 4
        && weight[2..] == [3, 3]
        && conv.strides == [1, 1]
        && conv.dilations == [1, 1]
        && weight[0] >= 16
        && weight[1] >= 16
}

/// Halo `[top, left, bottom, right]` a group needs around its input, if it is a convolution.
fn halo_of(graph: &Graph, group: &Group) -> Option<(ValueId, [usize; 4])> {
    let group = group.source.as_deref().unwrap_or(group);
    let node = &graph.nodes[group.main.index()];
    let (conv, transposed) = match &node.op {
        Op::Conv(conv) => (conv, false),
        Op::ConvTranspose(conv) => (conv, true),
        _ => return None,
    };
    graph.values[node.inputs[1].index()].constant.as_ref()?;
    let [_, _, height, width] = image_shape(graph, node.inputs[0])?;
    let [_, _, out_height, out_width] = image_shape(graph, node.outputs[0])?;
    let kernel = kernel_of(graph, node.inputs[1]);
    let tile = if uses_winograd(graph, group) { 2 } else { 1 };
    let mut halo = [0; 4];
    for phase in phases(conv, transposed, kernel, [out_height, out_width]) {
        for (axis, extent) in [height, width].into_iter().enumerate() {
            let [before, after] = phase.axes[axis].reach(extent, tile);
            halo[axis] = halo[axis].max(before);
            halo[axis + 2] = halo[axis + 2].max(after);
        }
    }
    Some((node.inputs[0], halo))
}

struct Placer<'a> {
    graph: &'a Graph,
    groups: &'a [Group],
    formats: Vec<Option<Format>>,
    /// The value this one lies in, and its first channel there.
    parents: Vec<Option<(ValueId, usize)>>,
    in_place: Vec<InPlace>,
}

/// Places all values.
pub(crate) fn place(graph: &Graph, groups: &[Group], observed: &[ValueId]) -> Placement {
    let mut placer = Placer {
        graph,
        groups,
        formats: vec![None; graph.values.len()],
        parents: vec![None; graph.values.len()],
        in_place: vec![InPlace::No; groups.len()],
    };
    placer.choose_formats();
    placer.alias_concats();
    placer.alias_views();
    placer.alias_overwrites(observed);
    placer.assign()
}

impl Placer<'_> {
    fn choose_formats(&mut self) {
        self.formats[self.graph.input.index()] = Some(Format::Image);
        for &feed in &self.graph.feeds {
            let is_image = self.graph.values[feed.index()].shape.len() == 4;
            self.formats[feed.index()] = Some(if is_image {
                Format::Image
            } else {
                Format::Flat
            });
        }
        for group in self.groups {
            let node = &self.graph.nodes[group.main.index()];
            for &output in &node.outputs {
                let stored = if output == node.outputs[0] {
                    group.output
                } else {
                    output
                };
                let format = self.format_of(group, stored);
                self.formats[stored.index()] = Some(format);
            }
        }
    }

    fn format_of(&self, group: &Group, output: ValueId) -> Format {
        let node = &self.graph.nodes[group.main.index()];
        if self.graph.values[output.index()].shape.len() != 4 {
            return Format::Flat;
        }
        let first = node
            .inputs
            .iter()
            .filter(|value| self.graph.values[value.index()].shape.len() == 4)
            .find_map(|value| self.formats[value.index()]);
        match &node.op {
            Op::Transpose { perm } if first == Some(Format::Image) && is_channels_last(perm) => {
                Format::Flat
            }
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Concat { .. }
            | Op::Split { .. }
            | Op::Slice { .. }
            | Op::Softmax { .. }
            | Op::LayerNormalization { .. }
            | Op::Adjoint(
                Adjoint::Unary(_)
                | Adjoint::Binary { .. }
                | Adjoint::Softmax { .. }
                | Adjoint::LayerNormalization { .. },
            ) => first.unwrap_or(Format::Flat),
            Op::MatMul => Format::Flat,
            _ => Format::Image,
        }
    }

    fn root(&self, mut value: ValueId) -> ValueId {
        while let Some((parent, _)) = self.parents[value.index()] {
            value = parent;
        }
        value
    }

    fn stored_outputs(&self, group: &Group) -> Vec<ValueId> {
        let node = &self.graph.nodes[group.main.index()];
        let mut outputs = node.outputs.clone();
        if let Some(first) = outputs.first_mut() {
            *first = group.output;
        }
        outputs
    }

    fn reads(&self, group: &Group) -> Vec<ValueId> {
        let node = &self.graph.nodes[group.main.index()];
        let source = group.source.as_deref();
        let source = source.map(|source| &self.graph.nodes[source.main.index()].inputs);
        let mut reads: Vec<ValueId> = node
            .inputs
            .iter()
            .chain(source.into_iter().flatten())
            .chain(&group.residual)
            .chain(&group.gate)
            .copied()
            .filter(|value| self.formats[value.index()].is_some())
            .collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }

    /// No group reads the buffer it writes, except where it does so on purpose.
    fn is_sound(&self, root: ValueId) -> bool {
        self.groups.iter().enumerate().all(|(index, group)| {
            let node = &self.graph.nodes[group.main.index()];
            let only_copies = matches!(node.op, Op::Concat { .. });
            self.in_place[index] != InPlace::No
                || only_copies
                || !self
                    .stored_outputs(group)
                    .iter()
                    .any(|&output| self.root(output) == root)
                || !self
                    .reads(group)
                    .iter()
                    .any(|&read| self.root(read) == root)
        })
    }

    fn try_alias(&mut self, child: ValueId, parent: ValueId, channel: usize) -> bool {
        if self.parents[child.index()].is_some() || self.root(parent) == child {
            return false;
        }
        self.parents[child.index()] = Some((parent, channel));
        let root = self.root(parent);
        if self.is_sound(root) {
            return true;
        }
        self.parents[child.index()] = None;
        false
    }

    /// Lets the parts of a channel concatenation be computed in place.
    fn alias_concats(&mut self) {
        for index in (0..self.groups.len()).rev() {
            let group = &self.groups[index];
            let node = &self.graph.nodes[group.main.index()];
            let Op::Concat { axis: 1 } = node.op else {
                continue;
            };
            if self.formats[group.output.index()] != Some(Format::Image) {
                continue;
            }
            let mut channel = 0;
            for &part in &node.inputs {
                let extent = self.graph.values[part.index()].shape[1];
                let free = self.formats[part.index()] == Some(Format::Image)
                    && part != self.graph.input
                    && !self.is_view(part)
                    && node.inputs.iter().filter(|&&other| other == part).count() == 1;
                if free {
                    self.try_alias(part, group.output, channel);
                }
                channel += extent;
            }
        }
    }

    /// The value comes out of a Split or Slice of channels, which may become views.
    fn is_view(&self, value: ValueId) -> bool {
        self.graph.values[value.index()]
            .producer
            .is_some_and(|producer| {
                matches!(
                    self.graph.nodes[producer.index()].op,
                    Op::Split { .. } | Op::Slice { .. } | Op::Reshape
                )
            })
    }

    fn alias_views(&mut self) {
        for index in 0..self.groups.len() {
            let group = &self.groups[index];
            let node = &self.graph.nodes[group.main.index()];
            let source = match node.inputs.first() {
                Some(&source) if self.formats[source.index()] == Some(Format::Image) => source,
                _ => continue,
            };
            let starts: Vec<usize> = match &node.op {
                Op::Split { axis: 1 } => node
                    .outputs
                    .iter()
                    .scan(0, |next, output| {
                        let start = *next;
                        *next += self.graph.values[output.index()].shape[1];
                        Some(start)
                    })
                    .collect(),
                Op::Slice { starts, steps } => {
                    let from = &self.graph.values[source.index()].shape;
                    let to = &self.graph.values[group.output.index()].shape;
                    let channels_only = (0..4)
                        .all(|axis| axis == 1 || (starts[axis] == 0 && from[axis] == to[axis]))
                        && steps.iter().all(|&step| step == 1);
                    if !channels_only {
                        continue;
                    }
                    vec![starts[1]]
                }
                _ => continue,
            };
            self.in_place[index] = InPlace::View;
            let outputs = self.stored_outputs(&self.groups[index]);
            let mut done = 0;
            for (&output, &start) in outputs.iter().zip(&starts) {
                done += usize::from(self.try_alias(output, source, start));
            }
            if done != outputs.len() {
                for output in outputs {
                    self.parents[output.index()] = None;
                }
                self.in_place[index] = InPlace::No;
            }
        }
    }

    /// Lets element-wise functions overwrite an input nobody else reads.
    fn alias_overwrites(&mut self, observed: &[ValueId]) {
        let readers = readers(self.graph, observed);
        for index in 0..self.groups.len() {
            let group = &self.groups[index];
            let node = &self.graph.nodes[group.main.index()];
            if !matches!(node.op, Op::Unary(_) | Op::Adjoint(Adjoint::Unary(_))) {
                continue;
            }
            let source = node.inputs[0];
            let free = self.formats[source.index()] == Some(Format::Image)
                && readers[source.index()] == 1
                && source != self.graph.input
                && !self.graph.feeds.contains(&source)
                && self.parents[source.index()].is_none()
                && !self
                    .parents
                    .iter()
                    .flatten()
                    .any(|&(parent, _)| parent == source);
            if !free {
                continue;
            }
            self.in_place[index] = InPlace::Overwrite;
            if !self.try_alias(source, group.output, 0) {
                self.in_place[index] = InPlace::No;
            }
        }
    }

    fn assign(self) -> Placement {
        let count = self.graph.values.len();
        let mut halo = vec![[0usize; 4]; count];
        for group in self.groups {
            if let Some((value, needed)) = halo_of(self.graph, group) {
                let root = self.root(value);
                for (have, need) in halo[root.index()].iter_mut().zip(needed) {
                    *have = (*have).max(need);
                }
            }
        }
        // Lifetimes of roots, in group indices; the input is written before group 0.
        let mut life: Vec<Option<[usize; 2]>> = vec![None; count];
        let mut extend = |value: ValueId, at: usize| {
            let life = &mut life[self.root(value).index()];
            *life = Some(life.map_or([at, at], |[from, to]| [from.min(at), to.max(at)]));
        };
        extend(self.graph.input, 0);
        for (index, group) in self.groups.iter().enumerate() {
            for value in self
                .stored_outputs(group)
                .into_iter()
                .chain(self.reads(group))
            {
                extend(value, index);
            }
        }
        extend(self.graph.output, self.groups.len());
        self.build(&halo, &life)
    }

    fn build(self, halo: &[[usize; 4]], life: &[Option<[usize; 2]>]) -> Placement {
        let count = self.graph.values.len();
        let mut buffers: Vec<(ValueId, usize)> = Vec::new();
        let mut buffer_of = vec![None; count];
        let mut maps: Vec<Option<Map>> = vec![None; count];
        let mut halos = Vec::new();
        for index in 0..count {
            let value = ValueId(index as u32);
            if self.formats[index].is_none() || self.root(value) != value {
                continue;
            }
            let elements = if self.formats[index] == Some(Format::Image) {
                let shape = image_shape(self.graph, value).unwrap_or([0; 4]);
                let map = Map::with_halo(shape, halo[index]);
                maps[index] = Some(map);
                halos.push((halo[index] != [0; 4]).then_some(Halo {
                    map,
                    pads: halo[index],
                }));
                map.image * map.batch
            } else {
                halos.push(None);
                self.graph.values[index].shape.iter().product()
            };
            buffer_of[index] = Some(BufferId(buffers.len() as u32));
            buffers.push((value, elements));
        }
        let places: Vec<Option<Place>> = (0..count)
            .map(|index| {
                let value = ValueId(index as u32);
                if self.graph.values[index].constant.is_some() {
                    return Some(Place::Constant(value));
                }
                let format = self.formats[index]?;
                let root = self.root(value);
                let buffer = buffer_of[root.index()]?;
                match format {
                    Format::Flat => Some(Place::Flat(
                        buffer,
                        0,
                        self.graph.values[index].shape.iter().product(),
                    )),
                    Format::Image => {
                        let mut channel = 0;
                        let mut at = value;
                        while let Some((parent, first)) = self.parents[at.index()] {
                            channel += first;
                            at = parent;
                        }
                        let channels = self.graph.values[index].shape[1];
                        Some(Place::Image(
                            buffer,
                            maps[root.index()]?.slice_channels(channel, channels),
                        ))
                    }
                }
            })
            .collect();

        let mut clear = vec![Vec::new(); self.groups.len()];
        for (index, &(value, _)) in buffers.iter().enumerate() {
            if halos[index].is_some()
                && value != self.root(self.graph.input)
                && !self.graph.feeds.contains(&value)
                && let Some([from, _]) = life[value.index()]
            {
                clear[from].push(BufferId(index as u32));
            }
        }
        let (slots, slot_elements) = share_memory(&buffers, life);
        Placement {
            places,
            slots,
            slot_elements,
            clear,
            halos,
            in_place: self.in_place,
        }
    }
}

/// First fit in order of birth: a buffer takes the free slot that fits best.
fn share_memory(
    buffers: &[(ValueId, usize)],
    life: &[Option<[usize; 2]>],
) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    let span = |index: usize| life[buffers[index].0.index()].unwrap_or([0, usize::MAX]);
    order.sort_by_key(|&index| span(index));
    let mut slots = vec![0; buffers.len()];
    let mut slot_elements: Vec<usize> = Vec::new();
    let mut busy_until: Vec<usize> = Vec::new();
    for index in order {
        let [from, to] = span(index);
        let need = buffers[index].1;
        let free = (0..slot_elements.len()).filter(|&slot| busy_until[slot] < from);
        let best = free.min_by_key(|&slot| {
            let have = slot_elements[slot];
            (have < need, have.abs_diff(need))
        });
        let slot = best.unwrap_or_else(|| {
            slot_elements.push(0);
            busy_until.push(0);
            slot_elements.len() - 1
        });
        slot_elements[slot] = slot_elements[slot].max(need);
        busy_until[slot] = to;
        slots[index] = slot;
    }
    (slots, slot_elements)
}
