//! Which instructions the hand-written loops use, decided once at run time.

use std::sync::OnceLock;

/// The widest instruction set that this process's CPU has and these kernels use.
///
/// `Avx2`, `Avx512` and `Neon` give the same bits for every kernel of this crate; `Scalar` has no fused multiply-add
/// and rounds twice where they round once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// No fused multiply-add: whatever the target's baseline offers.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// 64-bit ARM, where fused multiply-add is part of the baseline.
    Neon,
}

impl Level {
    /// The name that manifests and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Neon => "neon",
        }
    }
}

/// The level of this machine; detected at the first call, then a load.
pub fn level() -> Level {
    #[cfg(test)]
    if let Some(forced) = tests::FORCED.get() {
        return forced;
    }
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(detect)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        _ => Level::Scalar,
    }
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Level {
    Level::Neon
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Level {
    Level::Scalar
}

/// `a * b + c`, rounded once where `FMA` says that the level can, else twice.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Makes a function that runs `$body::<FMA>` compiled for the level of this machine. The body has to be
/// `#[inline(always)]` and generic over `const FMA: bool`, so that each copy is compiled with its own instructions.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                match $crate::level::level() {
                    // SAFETY: the level says that this CPU has every feature the function enables.
                    $crate::level::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::level::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    _ => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            if $crate::level::level() == $crate::level::Level::Neon {
                return $body::<true>($($arg),*);
            }
            $body::<false>($($arg),*)
        }
    };
}
pub(crate) use dispatch;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        pub(crate) static FORCED: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// Runs `f` at `forced` on this thread; `None` where the machine cannot.
    pub(crate) fn at_level<T>(forced: Level, f: impl FnOnce() -> T) -> Option<T> {
        let can = match (detect(), forced) {
            (_, Level::Scalar) | (Level::Avx512, Level::Avx2) => true,
            (machine, forced) => machine == forced,
        };
        if !can {
            return None;
        }
        FORCED.set(Some(forced));
        let result = f();
        FORCED.set(None);
        Some(result)
    }

    #[test]
    fn forcing_a_level_ends_with_the_call() {
        assert_eq!(at_level(Level::Scalar, level), Some(Level::Scalar));
        assert_eq!(level(), detect());
        assert_eq!(level().name(), format!("{:?}", level()).to_lowercase());
    }
}
