// A second device for tests: PyTorch's PrivateUse1 backend, in the CPU's memory and by the CPU's kernels. As on a GPU, its tensors
// don't mix with the CPU's, its random numbers come from generators of its own, and NumPy can't see it.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>

namespace {

constexpr auto SECOND = c10::DeviceType::PrivateUse1;
const c10::Device DEVICE(SECOND, 0);

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* at = bytes ? std::malloc(bytes) : nullptr;
    TORCH_CHECK(at || !bytes, "no memory left");
    return {at, at, &std::free, DEVICE};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
Memory memory;
REGISTER_ALLOCATOR(SECOND, &memory)

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return SECOND; }
  c10::Device exchangeDevice(c10::Device) const override { return DEVICE; }
  c10::Device getDevice() const override { return DEVICE; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, DEVICE); }
  c10::Stream getNewStream(c10::Device, int) const override { return c10::Stream(c10::Stream::DEFAULT, DEVICE); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

// draws what a CPU's generator of the same seed draws
struct SecondGenerator final : at::CPUGeneratorImpl {
  explicit SecondGenerator(uint64_t seed) : CPUGeneratorImpl(seed) {
    device_ = DEVICE;
    key_set_ = c10::DispatchKeySet(c10::DispatchKey::PrivateUse1);
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    static at::Generator one = at::make_generator<SecondGenerator>(c10::default_rng_seed_val);
    return one;
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<SecondGenerator>(c10::default_rng_seed_val);
  }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    auto fresh = memory.allocate(bytes);
    std::memcpy(fresh.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(fresh));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};
Hooks hooks;
const bool registered = (at::RegisterPrivateUse1HooksInterface(&hooks), true);

bool is_second(const at::Tensor& tensor) { return tensor.defined() && tensor.device().type() == SECOND; }

// the same memory, as a tensor of the CPU
at::Tensor on_cpu(const at::Tensor& tensor) {
  if (!is_second(tensor)) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), [tensor](void*) {},
                       tensor.options().device(at::kCPU));
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(dtype));
}

at::Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor on_second(const at::Tensor& tensor) {
  if (!tensor.defined() || is_second(tensor)) return tensor;
  auto made = empty_strided(tensor.sizes(), tensor.strides(), tensor.scalar_type(), {}, {}, {});
  on_cpu(made).copy_(tensor);
  return made;
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& to, bool) {
  on_cpu(to).copy_(on_cpu(self));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& self, const at::Tensor& to) {
  to.resize_(self.sizes());
  return copy_from(self, to, false);
}

// an index may be the CPU's where the indexed isn't, as on a GPU, and a number of no dimension may be
void require_one_device(const c10::OperatorHandle& op, const std::vector<at::Tensor>& first, const std::vector<at::Tensor>& indices) {
  bool second = false, cpu = false;
  for (const auto& tensor : first) {
    if (!tensor.defined()) continue;
    if (is_second(tensor)) second = true;
    else if (tensor.dim() > 0) cpu = true;
  }
  for (const auto& tensor : indices) if (is_second(tensor) && !second) cpu = second = true;
  TORCH_CHECK(!(second && cpu), "Expected all tensors to be on the same device, but found two: ", toString(op.schema().operator_name()));
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto count = schema.arguments().size();
  const auto begin = stack->size() - count;
  std::vector<c10::IValue> given(stack->begin() + begin, stack->end());
  std::vector<at::Tensor> tensors, indices;
  std::vector<std::pair<at::Generator, at::Generator>> generators;
  std::vector<std::pair<at::Tensor, at::Tensor>> empties;
  for (size_t i = 0; i < count; ++i) {
    auto& value = (*stack)[begin + i];
    if (value.isTensor()) {
      auto tensor = value.toTensor();
      tensors.push_back(tensor);
      const auto* alias = schema.arguments()[i].alias_info();
      if (is_second(tensor) && tensor.numel() == 0 && alias && alias->isWrite()) {
        // memory of a fixed size couldn't take the answer
        auto room = at::empty({0}, tensor.options().device(at::kCPU));
        empties.emplace_back(tensor, room);
        value = room;
      } else {
        value = on_cpu(tensor);
      }
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& one : value.toTensorVector()) { tensors.push_back(one); list.push_back(on_cpu(one)); }
      value = c10::IValue(list);
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const auto& one : value.toOptionalTensorVector()) {
        if (one) indices.push_back(*one);
        list.push_back(one ? std::optional<at::Tensor>(on_cpu(*one)) : std::nullopt);
      }
      value = c10::IValue(list);
    } else if (value.isDevice()) {
      value = c10::IValue(c10::Device(at::kCPU));
    } else if (value.isGenerator()) {
      auto own = value.toGenerator();
      TORCH_CHECK(own.device().type() == SECOND, "Expected a generator of the second device, found ", own.device(), ": ",
                  toString(schema.operator_name()));
      auto cpu = at::detail::createCPUGenerator();
      cpu.set_state(own.get_state());
      generators.emplace_back(own, cpu);
      value = c10::IValue(cpu);
    }
  }
  require_one_device(op, tensors, indices);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (auto& [own, cpu] : generators) own.set_state(cpu.get_state());
  for (auto& [own, room] : empties) {
    if (room.sizes() == own.sizes()) continue;
    auto filled = on_second(room);
    own.unsafeGetTensorImpl()->set_storage_keep_dtype(filled.storage());
    own.unsafeGetTensorImpl()->set_sizes_and_strides(filled.sizes(), filled.strides(), 0);
  }
  const auto answers = schema.returns().size();
  const auto first = stack->size() - answers;
  for (size_t i = 0; i < answers; ++i) {
    auto& value = (*stack)[first + i];
    const auto* alias = schema.returns()[i].alias_info();
    if (alias && alias->isWrite()) {
      for (size_t j = 0; j < count; ++j) {
        const auto* other = schema.arguments()[j].alias_info();
        if (other && *other == *alias) value = given[j];
      }
    } else if (value.isTensor()) {
      value = on_second(value.toTensor());
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& one : value.toTensorVector()) list.push_back(on_second(one));
      value = c10::IValue(list);
    }
  }
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       c10::SymIntArrayRef stride, c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed,
                       c10::SymIntArrayRef output_padding, c10::SymInt groups) {
  TORCH_CHECK(is_second(input) && is_second(weight) && (!bias || !bias->defined() || is_second(*bias)), "convolution of two devices");
  std::optional<at::Tensor> cpu_bias;
  if (bias && bias->defined()) cpu_bias = on_cpu(*bias);
  return on_second(at::convolution_symint(on_cpu(input), on_cpu(weight), cpu_bias, stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, c10::SymIntArrayRef stride,
    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed, c10::SymIntArrayRef output_padding, c10::SymInt groups,
    std::array<bool, 3> mask) {
  TORCH_CHECK(is_second(gradient) && is_second(input) && is_second(weight), "convolution of two devices");
  c10::SymInt channels = weight.sym_size(transposed ? 1 : 0);
  if (transposed) channels = channels * groups;
  std::vector<c10::SymInt> bias{channels};
  auto [by_input, by_weight, by_bias] = at::convolution_backward_symint(
      on_cpu(gradient), on_cpu(input), on_cpu(weight), c10::OptionalArrayRef<c10::SymInt>(bias), stride, padding, dilation, transposed, output_padding, groups, mask);
  return {on_second(by_input), on_second(by_weight), on_second(by_bias)};
}

const at::Tensor& resize_(const at::Tensor& self, c10::SymIntArrayRef size, std::optional<at::MemoryFormat> format) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(C10_AS_INTARRAYREF_SLOW(size));
  if (format) impl->empty_tensor_restride(*format);
  const size_t bytes = (self.numel() + self.storage_offset()) * self.element_size();
  if (bytes > self.storage().nbytes()) hooks.resizePrivateUse1Bytes(self.storage(), bytes);
  return self;
}

at::Tensor& set_(at::Tensor& self, c10::Storage source, c10::SymInt offset, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(source));
  self.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return self;
}

at::Tensor& set_whole(at::Tensor& self, c10::Storage source) {
  const c10::SymInt count = source.nbytes() / self.element_size();
  return set_(self, std::move(source), 0, {count}, {1});
}

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", TORCH_FN(empty));
  m.impl("empty_strided", TORCH_FN(empty_strided));
  m.impl("_copy_from", TORCH_FN(copy_from));
  m.impl("_copy_from_and_resize", TORCH_FN(copy_from_and_resize));
  m.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  m.impl("unfold", TORCH_FN(at::native::unfold));
  m.impl("resize_", TORCH_FN(resize_));
  m.impl("set_.source_Storage", TORCH_FN(set_whole));
  m.impl("set_.source_Storage_storage_offset", TORCH_FN(set_));
  m.impl("convolution_overrideable", TORCH_FN(convolution));
  m.impl("convolution_backward_overrideable", TORCH_FN(convolution_backward));
}
