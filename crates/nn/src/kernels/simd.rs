//! The vector operations the kernels are written in, and one implementation per instruction set.
//!
//! A kernel is an `#[inline(always)]` function generic over [`Simd`]; an entry point per
//! instruction set carries `#[target_feature]`, so the generic body is compiled with those
//! instructions (see [`dispatch!`](crate::kernels::dispatch)). [`Portable`] is plain Rust and is
//! what every other implementation is tested against.

/// Fixed-width `f32` vectors.
///
/// # Safety
/// Every function of an implementation may use instructions of its set: call them only inside a
/// function compiled with the matching `target_feature`, after [`Isa::detect`] found it. `load` and
/// `store` access `LANES` elements at the pointer, `load_first` and `store_first` the first `count`, with
/// no alignment requirement.
pub(crate) unsafe trait Simd: Copy {
    /// One vector.
    type V: Copy;
    /// Elements in a vector.
    const LANES: usize;
    /// Rows (pixels) of the matrix micro-kernel's register tile.
    const TILE_ROWS: usize;

    /// Asks for the cache line at an address, which need not be readable.
    #[inline(always)]
    fn prefetch(address: *const f32) {
        let _ = address;
    }

    unsafe fn zero() -> Self::V;
    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(source: *const f32) -> Self::V;
    unsafe fn store(target: *mut f32, value: Self::V);
    /// The first `count <= LANES` elements, zeros above; touches nothing beyond them.
    unsafe fn load_first(source: *const f32, count: usize) -> Self::V;
    /// Stores the first `count <= LANES` elements; touches nothing beyond them.
    unsafe fn store_first(target: *mut f32, value: Self::V, count: usize);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `value` in the lanes where `gate` is positive, 0 in the others.
    unsafe fn where_positive(gate: Self::V, value: Self::V) -> Self::V;
    /// `a * b + c`
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
}

/// Eight lanes of plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

// SAFETY: no special instructions; pointers are accessed as the trait says.
unsafe impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        [0.0; 8]
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn load(source: *const f32) -> Self::V {
        // SAFETY: the caller grants 8 readable elements.
        unsafe { source.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(target: *mut f32, value: Self::V) {
        // SAFETY: the caller grants 8 writable elements.
        unsafe { target.cast::<[f32; 8]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn load_first(source: *const f32, count: usize) -> Self::V {
        let mut value = [0.0; 8];
        for lane in 0..count.min(8) {
            // SAFETY: the caller grants `count` readable elements.
            value[lane] = unsafe { *source.add(lane) };
        }
        value
    }
    #[inline(always)]
    unsafe fn store_first(target: *mut f32, value: Self::V, count: usize) {
        for lane in 0..count.min(8) {
            // SAFETY: the caller grants `count` writable elements.
            unsafe { *target.add(lane) = value[lane] };
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    unsafe fn where_positive(gate: Self::V, value: Self::V) -> Self::V {
        std::array::from_fn(|lane| if gate[lane] > 0.0 { value[lane] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    /// Eight lanes, AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    // SAFETY: only AVX2 and FMA intrinsics; the trait's contract gives their preconditions.
    unsafe impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const TILE_ROWS: usize = 6;

        #[inline(always)]
        fn prefetch(address: *const f32) {
            // SAFETY: a hint; it reads nothing and never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn zero() -> __m256 {
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(source: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(source) }
        }
        #[inline(always)]
        unsafe fn store(target: *mut f32, value: __m256) {
            unsafe { _mm256_storeu_ps(target, value) }
        }
        #[inline(always)]
        unsafe fn load_first(source: *const f32, count: usize) -> __m256 {
            unsafe { _mm256_maskload_ps(source, first(count)) }
        }
        #[inline(always)]
        unsafe fn store_first(target: *mut f32, value: __m256, count: usize) {
            unsafe { _mm256_maskstore_ps(target, first(count), value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn where_positive(gate: __m256, value: __m256) -> __m256 {
            unsafe {
                let open = _mm256_cmp_ps::<_CMP_GT_OQ>(gate, _mm256_setzero_ps());
                _mm256_and_ps(open, value)
            }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
    }

    /// All bits set in the first `count` lanes.
    #[inline(always)]
    unsafe fn first(count: usize) -> __m256i {
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
        }
    }

    /// Sixteen lanes, AVX-512F.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    // SAFETY: only AVX-512F intrinsics; the trait's contract gives their preconditions.
    unsafe impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const TILE_ROWS: usize = 12;

        #[inline(always)]
        fn prefetch(address: *const f32) {
            // SAFETY: a hint; it reads nothing and never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn zero() -> __m512 {
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(source: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(source) }
        }
        #[inline(always)]
        unsafe fn store(target: *mut f32, value: __m512) {
            unsafe { _mm512_storeu_ps(target, value) }
        }
        #[inline(always)]
        unsafe fn load_first(source: *const f32, count: usize) -> __m512 {
            let mask = (1u32 << count.min(16)).wrapping_sub(1) as u16;
            unsafe { _mm512_maskz_loadu_ps(mask, source) }
        }
        #[inline(always)]
        unsafe fn store_first(target: *mut f32, value: __m512, count: usize) {
            let mask = (1u32 << count.min(16)).wrapping_sub(1) as u16;
            unsafe { _mm512_mask_storeu_ps(target, mask, value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn where_positive(gate: __m512, value: __m512) -> __m512 {
            unsafe {
                let open = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(open, value)
            }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Simd;
    use std::arch::aarch64::*;

    /// Two NEON registers: eight lanes.
    #[derive(Clone, Copy)]
    pub(crate) struct Neon;

    // SAFETY: NEON is part of every aarch64 target; pointers are accessed as the trait says.
    unsafe impl Simd for Neon {
        type V = (float32x4_t, float32x4_t);
        const LANES: usize = 8;
        const TILE_ROWS: usize = 6;

        #[inline(always)]
        unsafe fn zero() -> Self::V {
            unsafe { (vdupq_n_f32(0.0), vdupq_n_f32(0.0)) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self::V {
            unsafe { (vdupq_n_f32(value), vdupq_n_f32(value)) }
        }
        #[inline(always)]
        unsafe fn load(source: *const f32) -> Self::V {
            unsafe { (vld1q_f32(source), vld1q_f32(source.add(4))) }
        }
        #[inline(always)]
        unsafe fn store(target: *mut f32, value: Self::V) {
            unsafe {
                vst1q_f32(target, value.0);
                vst1q_f32(target.add(4), value.1);
            }
        }
        #[inline(always)]
        unsafe fn load_first(source: *const f32, count: usize) -> Self::V {
            let mut lanes = [0.0f32; 8];
            unsafe {
                for lane in 0..count.min(8) {
                    lanes[lane] = *source.add(lane);
                }
                Self::load(lanes.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_first(target: *mut f32, value: Self::V, count: usize) {
            let mut lanes = [0.0f32; 8];
            unsafe {
                Self::store(lanes.as_mut_ptr(), value);
                for lane in 0..count.min(8) {
                    *target.add(lane) = lanes[lane];
                }
            }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { (vaddq_f32(a.0, b.0), vaddq_f32(a.1, b.1)) }
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            unsafe { (vsubq_f32(a.0, b.0), vsubq_f32(a.1, b.1)) }
        }
        #[inline(always)]
        unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
            unsafe { (vminq_f32(a.0, b.0), vminq_f32(a.1, b.1)) }
        }
        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            unsafe { (vmaxq_f32(a.0, b.0), vmaxq_f32(a.1, b.1)) }
        }
        #[inline(always)]
        unsafe fn where_positive(gate: Self::V, value: Self::V) -> Self::V {
            unsafe {
                let half = |gate: float32x4_t, value: float32x4_t| {
                    let open = vcgtzq_f32(gate);
                    vreinterpretq_f32_u32(vandq_u32(open, vreinterpretq_u32_f32(value)))
                };
                (half(gate.0, value.0), half(gate.1, value.1))
            }
        }
        #[inline(always)]
        unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { (vfmaq_f32(c.0, a.0, b.0), vfmaq_f32(c.1, a.1, b.1)) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

/// An instruction set the kernels can be compiled for, chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain Rust.
    Portable,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 64-bit Arm.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// The best set of this processor. `SUMMIT_ISA=portable|avx2|avx512` lowers the choice (a set
    /// the processor lacks is ignored).
    #[must_use]
    pub(crate) fn detect() -> Self {
        let available = Self::available();
        let wanted = std::env::var("SUMMIT_ISA").unwrap_or_default();
        available
            .iter()
            .copied()
            .find(|isa| isa.name() == wanted)
            .or_else(|| available.last().copied())
            .unwrap_or(Self::Portable)
    }

    /// [`Isa::detect`], asked once per process.
    pub(crate) fn detect_once() -> Self {
        static FOUND: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
        *FOUND.get_or_init(Self::detect)
    }

    /// All sets this processor has, the best last.
    #[must_use]
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            sets.push(Self::Avx2);
            if is_x86_feature_detected!("avx512f") {
                sets.push(Self::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Self::Neon);
        sets
    }

    /// Lower-case name.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
        }
    }

    /// Elements of one vector.
    #[must_use]
    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::LANES,
            _ => 8,
        }
    }
}

/// Calls `$function::<S>($args)` compiled for the instruction set `$isa`.
///
/// The function must be `#[inline(always)] unsafe fn`; the wrappers made here carry the target
/// features, which [`Isa::available`] has checked.
macro_rules! dispatch {
    ($isa:expr, $function:ident($($argument:ident: $type:ty),* $(,)?) of ($($value:expr),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($argument: $type),*) {
            // SAFETY: the caller's, passed on.
            unsafe { $function::<$crate::kernels::simd::Avx2>($($argument),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512($($argument: $type),*) {
            // SAFETY: the caller's, passed on.
            unsafe { $function::<$crate::kernels::simd::Avx512>($($argument),*) }
        }
        match $isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this value of `Isa` exists only where the features were detected.
            $crate::kernels::simd::Isa::Avx2 => unsafe { avx2($($value),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            $crate::kernels::simd::Isa::Avx512 => unsafe { avx512($($value),*) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: NEON is part of the target.
            $crate::kernels::simd::Isa::Neon => unsafe {
                $function::<$crate::kernels::simd::Neon>($($value),*)
            },
            // SAFETY: plain Rust.
            $crate::kernels::simd::Isa::Portable => unsafe {
                $function::<$crate::kernels::simd::Portable>($($value),*)
            },
        }
    }};
}
pub(crate) use dispatch;
