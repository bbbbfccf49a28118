// The generated AXI modules by themselves, with the signals that another party's models want: words are read at one
// address and written at another, and the control registers stand beside that.
module axi_copier (
    input wire clk,
    input wire reset,
    input wire [63:0] source,
    input wire [63:0] target,
    input wire [31:0] words,
    input wire begins,
    input wire waits,  // nothing is taken from one master to the other in this cycle
    output wire idle,

    output wire m_arid,
    output wire [63:0] m_araddr,
    output wire [7:0] m_arlen,
    output wire [2:0] m_arsize,
    output wire [1:0] m_arburst,
    output wire m_arvalid,
    input wire m_arready,
    input wire m_rid,
    input wire [127:0] m_rdata,
    input wire [1:0] m_rresp,
    input wire m_rlast,
    input wire m_rvalid,
    output wire m_rready,
    output wire m_awid,
    output wire [63:0] m_awaddr,
    output wire [7:0] m_awlen,
    output wire [2:0] m_awsize,
    output wire [1:0] m_awburst,
    output wire m_awvalid,
    input wire m_awready,
    output wire [127:0] m_wdata,
    output wire [15:0] m_wstrb,
    output wire m_wlast,
    output wire m_wvalid,
    input wire m_wready,
    input wire m_bid,
    input wire [1:0] m_bresp,
    input wire m_bvalid,
    output wire m_bready,

    input wire [7:0] s_awaddr,
    input wire [2:0] s_awprot,
    input wire s_awvalid,
    output wire s_awready,
    input wire [31:0] s_wdata,
    input wire [3:0] s_wstrb,
    input wire s_wvalid,
    output wire s_wready,
    output wire [1:0] s_bresp,
    output wire s_bvalid,
    input wire s_bready,
    input wire [7:0] s_araddr,
    input wire [2:0] s_arprot,
    input wire s_arvalid,
    output wire s_arready,
    output wire [31:0] s_rdata,
    output wire [1:0] s_rresp,
    output wire s_rvalid,
    input wire s_rready,
    input wire finished,
    output wire start,
    output wire interrupt_request
);
  wire [127:0] data;
  wire valid;
  wire ready;
  wire moves = valid & ready & ~waits;
  assign m_arid = 1'b0;
  assign m_awid = 1'b0;

  aebert_axi_reader #(
      .BITS(128)
  ) reader (
      .clk(clk),
      .reset(reset),
      .base(source),
      .request_first(64'd0),
      .request_words(words),
      .request_valid(begins),
      .request_ready(),
      .out_data(data),
      .out_valid(valid),
      .out_pop(moves),
      .araddr(m_araddr),
      .arlen(m_arlen),
      .arsize(m_arsize),
      .arburst(m_arburst),
      .arvalid(m_arvalid),
      .arready(m_arready),
      .rdata(m_rdata),
      .rvalid(m_rvalid),
      .rready(m_rready)
  );

  aebert_axi_writer #(
      .BITS(128)
  ) writer (
      .clk(clk),
      .reset(reset),
      .base(target),
      .request_first(64'd0),
      .request_words(words),
      .request_valid(begins),
      .request_ready(),
      .idle(idle),
      .in_data(data),
      .in_push(moves),
      .in_ready(ready),
      .awaddr(m_awaddr),
      .awlen(m_awlen),
      .awsize(m_awsize),
      .awburst(m_awburst),
      .awvalid(m_awvalid),
      .awready(m_awready),
      .wdata(m_wdata),
      .wstrb(m_wstrb),
      .wlast(m_wlast),
      .wvalid(m_wvalid),
      .wready(m_wready),
      .bvalid(m_bvalid),
      .bready(m_bready)
  );

  aebert_control control (
      .clk(clk),
      .reset(reset),
      .awaddr(s_awaddr),
      .awvalid(s_awvalid),
      .awready(s_awready),
      .wdata(s_wdata),
      .wstrb(s_wstrb),
      .wvalid(s_wvalid),
      .wready(s_wready),
      .bresp(s_bresp),
      .bvalid(s_bvalid),
      .bready(s_bready),
      .araddr(s_araddr),
      .arvalid(s_arvalid),
      .arready(s_arready),
      .rdata(s_rdata),
      .rresp(s_rresp),
      .rvalid(s_rvalid),
      .rready(s_rready),
      .interrupt_request(interrupt_request),
      .pass_table(),
      .weights(),
      .indices(),
      .parameters(),
      .embeddings(),
      .results(),
      .pass_count(),
      .tile_count(),
      .index_word_count(),
      .start(start),
      .finished(finished)
  );
endmodule
