//! The one pass over the data: activation aggregation, neuron influence, predictions, dataset examples.
