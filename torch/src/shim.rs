//! Calls of `shim/shim.cpp`: kernels of libtorch that work on many tensors at once.
//!
//! A model has hundreds of small parameters. One kernel for all of them is what PyTorch's
//! optimizers run (<https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html>, `fused`
//! and `foreach`).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use tch::{TchError, Tensor};
use torch_sys::C_tensor;

/// Numbers of one AdamW update (Loshchilov and Hutter, arXiv 1711.05101).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this update.
    pub rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Decoupled: the weights shrink by `rate · weight_decay`.
    pub weight_decay: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
}

/// The tensors of one update: weight, gradient and the two means, all f32, contiguous, of one
/// shape.
#[derive(Debug)]
pub struct Slot<'a> {
    /// Overwritten.
    pub weight: &'a Tensor,
    /// Overwritten too where a divisor is given.
    pub gradient: &'a Tensor,
    /// Mean of gradients, overwritten.
    pub first: &'a Tensor,
    /// Mean of squared gradients, overwritten.
    pub second: &'a Tensor,
}

type Pointers = *const *const C_tensor;

unsafe extern "C" {
    fn magiclens_adamw(
        weights: Pointers,
        gradients: Pointers,
        first: Pointers,
        second: Pointers,
        count: usize,
        step: *const C_tensor,
        divisor: *const C_tensor,
        options: AdamWStep,
        message: *mut c_char,
        size: usize,
    ) -> c_int;
    fn magiclens_global_norm(
        tensors: Pointers,
        count: usize,
        out: *mut C_tensor,
        message: *mut c_char,
        size: usize,
    ) -> c_int;
    fn magiclens_lerp(
        starts: Pointers,
        ends: Pointers,
        count: usize,
        weight: f64,
        message: *mut c_char,
        size: usize,
    ) -> c_int;
    fn magiclens_add_gradients(
        weights: Pointers,
        gradients: Pointers,
        gains: *const f64,
        count: usize,
        message: *mut c_char,
        size: usize,
    ) -> c_int;
    fn magiclens_pin(
        from: *const C_tensor,
        out: *mut C_tensor,
        message: *mut c_char,
        size: usize,
    ) -> c_int;
    fn magiclens_drop_gradients(
        tensors: Pointers,
        count: usize,
        message: *mut c_char,
        size: usize,
    ) -> c_int;
    fn magiclens_enter_cuda(
        index: c_int,
        stream: *mut *mut c_void,
        message: *mut c_char,
        size: usize,
    ) -> c_int;
}

/// Updates all slots by one kernel a device (`at::_fused_adamw_`).
///
/// `step` is the number of this update, from 1 on, as an f32 scalar on the weights' device;
/// gradients are divided by the f32 scalar `divisor` first, which is how clipping costs no pass of
/// its own.
pub fn adamw(
    slots: &[Slot],
    step: &Tensor,
    divisor: Option<&Tensor>,
    options: AdamWStep,
) -> Result<(), TchError> {
    if slots.is_empty() {
        return Ok(());
    }
    let column = |pick: fn(&Slot) -> *const C_tensor| slots.iter().map(pick).collect::<Vec<_>>();
    let weights = column(|slot| slot.weight.as_ptr());
    let gradients = column(|slot| slot.gradient.as_ptr());
    let first = column(|slot| slot.first.as_ptr());
    let second = column(|slot| slot.second.as_ptr());
    let divisor = divisor.map_or(ptr::null(), Tensor::as_ptr);
    // SAFETY: the four arrays hold `slots.len()` pointers to tensors that are borrowed until the
    // end.
    checked(|message, size| unsafe {
        magiclens_adamw(
            weights.as_ptr(),
            gradients.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            slots.len(),
            step.as_ptr(),
            divisor,
            options,
            message,
            size,
        )
    })
}

/// The Euclidean norm of all tensors taken as one vector: an f32 scalar on their device, 0 without
/// any.
pub fn global_norm(tensors: &[&Tensor]) -> Result<Tensor, TchError> {
    let device = tensors.first().map_or(tch::Device::Cpu, |tensor| tensor.device());
    let mut out = Tensor::f_zeros([], (tch::Kind::Float, device))?;
    if tensors.is_empty() {
        return Ok(out);
    }
    let items = pointers(tensors);
    // SAFETY: `items` holds as many pointers as it says, to borrowed tensors; `out` is ours alone.
    checked(|message, size| unsafe {
        magiclens_global_norm(items.as_ptr(), items.len(), out.as_mut_ptr(), message, size)
    })?;
    Ok(out)
}

/// Moves each start the share `weight` of the way to its end, in place.
pub fn lerp(starts: &[&Tensor], ends: &[&Tensor], weight: f64) -> Result<(), TchError> {
    assert_eq!(starts.len(), ends.len(), "one end for each start");
    if starts.is_empty() {
        return Ok(());
    }
    let (starts, ends) = (pointers(starts), pointers(ends));
    // SAFETY: both arrays hold that many pointers to borrowed tensors.
    checked(|message, size| unsafe {
        magiclens_lerp(starts.as_ptr(), ends.as_ptr(), starts.len(), weight, message, size)
    })
}

/// Adds to each weight's gradient, or gives it as its first, `gain` times another one of the same shape
/// and any kind: in the weight's kind, and by a few kernels for all of them.
pub fn add_gradients(
    weights: &[&Tensor],
    gradients: &[&Tensor],
    gains: &[f64],
) -> Result<(), TchError> {
    assert!(
        weights.len() == gradients.len() && weights.len() == gains.len(),
        "one for each weight"
    );
    let (weights, gradients) = (pointers(weights), pointers(gradients));
    // SAFETY: all three arrays are that long, and the pointers are to borrowed tensors.
    checked(|message, size| unsafe {
        magiclens_add_gradients(
            weights.as_ptr(),
            gradients.as_ptr(),
            gains.as_ptr(),
            weights.len(),
            message,
            size,
        )
    })
}

/// A copy in memory that a GPU fetches from by itself. tch's own names a device, which libtorch warns of
/// each time.
pub fn pin(tensor: &Tensor) -> Result<Tensor, TchError> {
    let mut out = Tensor::f_empty([0], tch::kind::FLOAT_CPU)?;
    // SAFETY: `out` is ours alone.
    checked(|message, size| unsafe {
        magiclens_pin(tensor.as_ptr(), out.as_mut_ptr(), message, size)
    })?;
    Ok(out)
}

/// Gives the gradients' memory back, so that the next backward pass writes instead of adding.
pub fn drop_gradients(tensors: &[&Tensor]) -> Result<(), TchError> {
    let items = pointers(tensors);
    // SAFETY: `items` holds as many pointers as it says, to borrowed tensors.
    checked(|message, size| unsafe {
        magiclens_drop_gradients(items.as_ptr(), items.len(), message, size)
    })
}

/// Makes this GPU the thread's own and returns the CUDA stream that libtorch computes on there.
pub(crate) fn enter_cuda(index: usize) -> Result<*mut c_void, TchError> {
    let index = c_int::try_from(index)
        .map_err(|_| TchError::Torch(format!("there is no GPU with number {index}")))?;
    let mut stream = ptr::null_mut();
    // SAFETY: `stream` is ours alone.
    checked(|message, size| unsafe { magiclens_enter_cuda(index, &mut stream, message, size) })?;
    Ok(stream)
}

fn pointers(tensors: &[&Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr()).collect()
}

/// Runs a call that answers 0, or 1 with a message.
fn checked(call: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), TchError> {
    let mut message = [0_u8; 1024];
    match call(message.as_mut_ptr().cast(), message.len()) {
        0 => Ok(()),
        _ => {
            let text = CStr::from_bytes_until_nul(&message).unwrap_or_default();
            Err(TchError::Torch(text.to_string_lossy().into_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.try_into().unwrap()
    }

    #[test]
    fn the_global_norm_is_that_of_one_vector() {
        let (a, b) = (Tensor::from_slice(&[3_f32]), Tensor::from_slice(&[4_f32, 12.0]));
        assert_eq!(global_norm(&[&a, &b]).unwrap().double_value(&[]), 13.0);
        assert_eq!(global_norm(&[]).unwrap().double_value(&[]), 0.0);
        let bad = Tensor::from_slice(&[f32::NAN]);
        assert!(global_norm(&[&a, &bad]).unwrap().double_value(&[]).is_nan());
    }

    #[test]
    fn lerp_moves_in_place() {
        let (start, end) = (Tensor::from_slice(&[0_f32, 8.0]), Tensor::from_slice(&[4_f32, 0.0]));
        lerp(&[&start], &[&end], 0.25).unwrap();
        assert_eq!(values(&start), [1.0, 6.0]);
    }

    #[test]
    fn an_update_is_adamw() {
        let tensor = |value: f32| Tensor::from_slice(&[value]);
        let (weight, gradient, first, second) =
            (tensor(1.0), tensor(2.0), tensor(0.0), tensor(0.0));
        let slot = Slot { weight: &weight, gradient: &gradient, first: &first, second: &second };
        let options = AdamWStep { rate: 0.1, beta1: 0.9, beta2: 0.99, weight_decay: 0.5, eps: 0.0 };
        adamw(&[slot], &Tensor::from(1_f32), Some(&Tensor::from(2_f32)), options).unwrap();
        // A dozen roundings, of numbers up to 1, by half an epsilon each.
        let rounding = 6.0 * f32::EPSILON;
        // The first update has the size of the rate, whatever the gradient.
        assert!((values(&weight)[0] - (1.0 - 0.05 - 0.1)).abs() <= rounding, "{weight}");
        assert!(
            (values(&first)[0] - 0.1).abs() <= rounding,
            "the gradient is halved by the divisor"
        );
    }

    #[test]
    fn libtorch_says_what_it_does_not_like() {
        let (a, b) = (Tensor::from_slice(&[1_f32]), Tensor::from_slice(&[1_f32, 2.0]));
        let error =
            lerp(&[&b], &[&a.reshape([1, 1, 1]).expand([3, 1, 1], false)], 0.5).unwrap_err();
        assert!(error.to_string().contains("shape"), "{error}");
    }

    #[test]
    fn gradients_are_added_up_in_the_weights_kind() {
        let (a, b) = (Tensor::from_slice(&[1_f32, 2.0]), Tensor::from_slice(&[3_f32]));
        let (a, b) = (a.set_requires_grad(true), b.set_requires_grad(true));
        (&a * 3.0).sum(tch::Kind::Float).backward();
        let more = Tensor::from_slice(&[0.5_f32, 256.0]).to_kind(tch::Kind::BFloat16);
        let first = Tensor::from_slice(&[8_f32]);
        add_gradients(&[&a, &b], &[&more, &first], &[2.0, 1.0]).unwrap();
        // 515 has more bits than a bfloat16.
        assert_eq!((values(&a.grad()), values(&b.grad())), (vec![4.0, 515.0], vec![8.0]));
        assert_eq!(values(&first), [8.0]);
        assert!(add_gradients(&[&a], &[&first], &[1.0]).is_err());
        add_gradients(&[], &[], &[]).unwrap();
    }

    #[test]
    fn pinned_memory_holds_the_same_numbers() {
        if let Ok(tch::Device::Cuda(_)) = crate::device() {
            let pinned = pin(&Tensor::from_slice(&[1_f32, 2.0])).unwrap();
            assert_eq!(values(&pinned), [1.0, 2.0]);
            assert_eq!(values(&pinned.to_device(tch::Device::Cuda(0))), [1.0, 2.0]);
        }
    }

    #[test]
    fn gradients_are_given_back() {
        let leaf = Tensor::from_slice(&[1_f32]).set_requires_grad(true);
        (&leaf * 3.0).sum(tch::Kind::Float).backward();
        assert!(leaf.grad().defined());
        drop_gradients(&[&leaf]).unwrap();
        assert!(!leaf.grad().defined());
    }

    #[test]
    fn without_cuda_there_is_no_stream() {
        if !tch::Cuda::is_available() {
            assert!(enter_cuda(0).is_err());
        }
    }
}
