// Reads an xclbin with XRT's own library and launches its kernel on XRT's no-op device, as host.boards.xrt_board does
// through pyxrt: one line per fact, for a test to compare.
#include <iostream>
#include <string>
#include <vector>

#include "experimental/xrt_xclbin.h"
#include "xrt/xrt_bo.h"
#include "xrt/xrt_device.h"
#include "xrt/xrt_kernel.h"

int main(int, char** arguments) {
  const xrt::xclbin file{std::string(arguments[1])};
  const std::string top = arguments[2];
  std::cout << "platform " << file.get_xsa_name() << "\n";
  for (const auto& unit : file.get_kernel(top).get_cus()) std::cout << "unit " << unit.get_name() << "\n";
  int pointers = 0;
  int scalars = 0;
  for (const auto& argument : file.get_kernel(top).get_args()) {
    std::cout << "argument " << argument.get_name() << " " << argument.get_offset() << " " << argument.get_size();
    for (const auto& memory : argument.get_mems()) std::cout << " " << memory.get_tag();
    std::cout << "\n";
    ++(argument.get_mems().empty() ? scalars : pointers);
  }

  xrt::device device(0);
  const auto uuid = device.load_xclbin(file);
  xrt::kernel kernel(device, uuid, top, xrt::kernel::cu_access_mode::exclusive);
  xrt::run run(kernel);
  std::vector<xrt::bo> buffers;
  for (int number = 0; number < pointers; ++number) {
    buffers.emplace_back(device, 4096, xrt::bo::flags::normal, kernel.group_id(number));
    buffers.back().sync(XCL_BO_SYNC_BO_TO_DEVICE);
    run.set_arg(number, buffers.back());
  }
  for (int number = pointers; number < pointers + scalars; ++number) run.set_arg(number, 1);
  run.start();
  std::cout << "state " << run.wait(1000) << "\n";
}
