// What libtorch has and tch does not reach: multi-tensor kernels, gradients that are given back,
// the stream that a GPU computes on. Called from src/shim.rs; no exception crosses the border.

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdio>

namespace {

using Pointers = at::Tensor *const *;

std::vector<at::Tensor> list(Pointers items, size_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (size_t i = 0; i < count; ++i) tensors.push_back(*items[i]);
  return tensors;
}

// 0, or 1 with what went wrong in `message`.
template <class Call>
int guarded(char *message, size_t size, Call call) {
  try {
    at::NoGradGuard no_grad;
    call();
    return 0;
  } catch (const c10::Error &error) {
    std::snprintf(message, size, "%s", error.what_without_backtrace());
  } catch (const std::exception &error) {
    std::snprintf(message, size, "%s", error.what());
  } catch (...) {
    std::snprintf(message, size, "unknown exception");
  }
  return 1;
}

}  // namespace

extern "C" {

struct MagiclensAdamW {
  double rate, beta1, beta2, weight_decay, eps;
};

int magiclens_adamw(Pointers weights, Pointers gradients, Pointers first, Pointers second,
                    size_t count, const at::Tensor *step, const at::Tensor *divisor,
                    MagiclensAdamW o, char *message, size_t size) {
  return guarded(message, size, [&] {
    const std::vector<at::Tensor> steps(count, *step);
    const auto scale = divisor ? std::optional<at::Tensor>(*divisor) : std::nullopt;
    at::_fused_adamw_(list(weights, count), list(gradients, count), list(first, count),
                      list(second, count), {}, steps, o.rate, o.beta1, o.beta2, o.weight_decay,
                      o.eps, /*amsgrad=*/false, /*maximize=*/false, scale, /*found_inf=*/{});
  });
}

int magiclens_global_norm(Pointers tensors, size_t count, at::Tensor *out, char *message,
                          size_t size) {
  return guarded(message, size, [&] {
    out->copy_(at::linalg_vector_norm(at::stack(at::_foreach_norm(list(tensors, count)))));
  });
}

int magiclens_lerp(Pointers starts, Pointers ends, size_t count, double weight, char *message,
                   size_t size) {
  return guarded(message, size,
                 [&] { at::_foreach_lerp_(list(starts, count), list(ends, count), weight); });
}

int magiclens_add_gradients(Pointers weights, Pointers gradients, const double *gains, size_t count,
                            char *message, size_t size) {
  return guarded(message, size, [&] {
    const auto from = list(gradients, count);
    std::vector<at::Tensor> casts, changed, there, more;
    std::vector<at::Scalar> factors;
    for (size_t i = 0; i < count; ++i) {
      TORCH_CHECK(from[i].sizes() == weights[i]->sizes(), "a gradient has another shape");
      casts.push_back(at::empty(from[i].sizes(), weights[i]->options().requires_grad(false)));
      if (gains[i] == 1.0) continue;
      changed.push_back(casts[i]);
      factors.emplace_back(gains[i]);
    }
    if (count) at::_foreach_copy_(casts, from);
    if (!changed.empty()) at::_foreach_mul_(changed, factors);
    for (size_t i = 0; i < count; ++i) {
      at::Tensor &gradient = weights[i]->mutable_grad();
      if (!gradient.defined()) {
        gradient = casts[i];
        continue;
      }
      there.push_back(gradient);
      more.push_back(casts[i]);
    }
    if (!there.empty()) at::_foreach_add_(there, more);
  });
}

int magiclens_pin(const at::Tensor *from, at::Tensor *out, char *message, size_t size) {
  return guarded(message, size, [&] { *out = from->pin_memory(); });
}

int magiclens_drop_gradients(Pointers tensors, size_t count, char *message, size_t size) {
  return guarded(message, size, [&] {
    for (size_t i = 0; i < count; ++i) tensors[i]->mutable_grad() = at::Tensor();
  });
}

int magiclens_enter_cuda(int index, void **stream, char *message, size_t size) {
  return guarded(message, size, [&] {
    const c10::impl::VirtualGuardImpl cuda(c10::DeviceType::CUDA);
    const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
    cuda.setDevice(device);
    *stream = cuda.getStreamNativeHandle(cuda.getStream(device));
  });
}

}  // extern "C"
