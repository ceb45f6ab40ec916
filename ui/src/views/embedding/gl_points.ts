// Points drawn by the graphics card (WebGL2): tens of thousands at once, the same every frame.
import { type Frame, type PointArrays, affine } from './points';

const VERTEX = `#version 300 es
in vec2 place; in vec4 colour; in float radius;
uniform vec3 map; uniform vec2 size; uniform float ratio;
out vec4 ink;
void main() {
  vec2 at = (map.yz + map.x * place) / size * 2.0 - 1.0;
  gl_Position = vec4(at.x, -at.y, 0.0, 1.0);
  gl_PointSize = 2.0 * radius * ratio;
  ink = colour;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 ink;
out vec4 result;
void main() {
  float away = 2.0 * length(gl_PointCoord - 0.5);
  float alpha = ink.a * (1.0 - smoothstep(0.8, 1.0, away));
  result = vec4(ink.rgb * alpha, alpha);
}`;

export class GlPoints {
  #count = 0;

  private constructor(
    readonly canvas: HTMLCanvasElement,
    readonly gl: WebGL2RenderingContext,
    readonly program: WebGLProgram,
  ) {}

  /** On a canvas of its own; null where there is no WebGL2. `lost` is called when the card is taken away. */
  static on(canvas: HTMLCanvasElement, lost: () => void): GlPoints | null {
    const gl = canvas.getContext('webgl2', { antialias: false, powerPreference: 'low-power' });
    const program = gl && linked(gl);
    if (!gl || !program) return null;
    canvas.addEventListener('webglcontextlost', lost, { once: true });
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    return new GlPoints(canvas, gl, program);
  }

  load({ places, colours, radii }: PointArrays) {
    this.#count = radii.length;
    this.#attribute('place', places, 2, this.gl.FLOAT);
    this.#attribute('colour', colours, 4, this.gl.UNSIGNED_BYTE);
    this.#attribute('radius', radii, 1, this.gl.FLOAT);
  }

  draw(frame: Frame) {
    const { gl, canvas, program } = this;
    const ratio = Math.min(3, globalThis.devicePixelRatio || 1);
    const [columns, rows] = [Math.round(frame.width * ratio), Math.round(frame.height * ratio)];
    if (canvas.width !== columns) canvas.width = columns;
    if (canvas.height !== rows) canvas.height = rows;
    gl.viewport(0, 0, columns, rows);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform3f(gl.getUniformLocation(program, 'map'), ...affine(frame));
    gl.uniform2f(gl.getUniformLocation(program, 'size'), frame.width, frame.height);
    gl.uniform1f(gl.getUniformLocation(program, 'ratio'), ratio);
    gl.drawArrays(gl.POINTS, 0, this.#count);
  }

  #attribute(name: string, data: Float32Array | Uint8Array, size: number, type: number) {
    const { gl, program } = this;
    const location = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
  }
}

function linked(gl: WebGL2RenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(kind);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}
