//! Newtypes, so that two kinds of index never meet.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// As an array index.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// From an array index. Saturates at `u32::MAX`, which no table reaches.
            #[must_use]
            pub fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    };
}

id!(
    /// A class: an output channel of the network (index into the logits).
    ClassId
);
id!(
    /// A layer of the network in the sense of method.md section 1, input side first.
    LayerId
);
id!(
    /// A channel of a layer, or of any tensor.
    ChannelId
);
id!(
    /// A convolution (or Gemm / MatMul treated as a 1x1 convolution) inside a block.
    ConvId
);
id!(
    /// An image of the run: its position in the list sorted by path (bytewise).
    ImageId
);
