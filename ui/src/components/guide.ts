// What is said to explain the interface: how to read each view, the terms, the tour.

export interface Section {
  id: 'map' | 'classes' | 'graph' | 'compare' | 'errors';
  title: string;
  text: string;
  /** What the tour points at. */
  region?: string;
}

export const SECTIONS: Section[] = [
  {
    id: 'map',
    title: 'Map of classes',
    text: 'Each point is a class. Classes lie near each other when they excite the same channels in the chosen layer; move the slider, or press play, to see how they part from layer to layer. Distances between far groups mean little; lines lead to the classes most like the selected one.',
    region: '[aria-label="Map of classes"]',
  },
  {
    id: 'classes',
    title: 'Classes',
    text: 'All classes with images: how many of them are predicted right, and how the probability of the class spreads over them, from 0 at the left to 1 at the right. “alike” and its bar tell the similarity to the selected class in the chosen layer. The last line names what it is most often taken for. The arrows beside a row compare.',
    region: '[aria-label="Classes"]',
  },
  {
    id: 'graph',
    title: 'Attribution graph',
    text: 'Rows are layers, the input side at the bottom, the class on top. A node is a channel: the larger, the more images of the class have it among their top channels; its picture is the part of an image that excites it most. An edge says which channel drives which: the wider, the more images or, under a signed measure, logits; what opposes the class is dashed. Click a node or an edge to see what stands behind it, and drag nodes where you want them.',
    region: '[aria-label="Attribution graph"]',
  },
  {
    id: 'compare',
    title: 'Compare',
    text: 'A second class adds its graph: what only the first has stands left, what only the second has stands right, what both have stands between.',
  },
  {
    id: 'errors',
    title: 'Errors',
    text: 'Which classes are taken for which, as a matrix and as a list; frequent predictions outside the data have columns of their own, in italics. Behind each cell stand its images, smallest margin first, and the graphs of both classes; the name of a row, or a class chosen in the list, shows all errors of the class.',
    region: 'nav[aria-label="Views"]',
  },
];

export const TERMS: [string, string][] = [
  [
    'Layer',
    'A place in the network every path from image to class passes. Early layers see small parts of the image, late ones all of it.',
  ],
  [
    'Channel',
    'One of the detectors of a layer; its activation is a map that says where in the image it finds what it answers to.',
  ],
  [
    'Top channels',
    'For one image and layer, the channels with the largest activation that together make up a small share of all of it (3 % unless the run says otherwise).',
  ],
  ['Count', 'The images of the class in which the channel is a top channel.'],
  [
    'Influence',
    'For an edge, the images of the class in which the lower channel contributes most to the upper one.',
  ],
  [
    'Contribution',
    'Under a signed measure (flow, flow-ig, lrp): what the channel adds to the margin of the class, in logits, as a mean over the images measured with its 95 % interval. Its bias share is what no channel below explains of it.',
  ],
  [
    'Effect',
    'Of an edge under a signed measure: the part of the contribution of the lower channel that passes through the upper one, in logits.',
  ],
  [
    'PageRank',
    'How often a random walk along the edges of the class comes by the channel: large for what many strong paths run through. Drawn as the thickness of the frame.',
  ],
  [
    'Similarity',
    'Cosine between the counts of two classes in a layer: 1 for the same channels in the same shares, 0 for none in common.',
  ],
  ['Margin', 'Logit of the label minus the largest other logit; below 0 the prediction is wrong.'],
  [
    'Margin kept, SRG, stability',
    'From summit evaluate: the share of the margin left when only as many channels as shown are kept; keeping against taking away, 0 for a random order; agreement of the first channels between two halves of the images.',
  ],
  [
    'Trustworthiness',
    'Share of neighbours in the map that are neighbours in the layer too, 1 at best.',
  ],
];
