cd /work/build/h/arm-estimate; F=/work/build/final4
for c in a76 a55 a72 a53; do nice -n 10 python shipped.py ship $c $F/atpn-lite/*.tflite $F/atpn/*.tflite $F/atpn-lite/*.onnx $F/atpn/*.onnx $F/atpn-lite/*.ncnn $F/atpn/*.ncnn > ship/$c.log 2>&1; cp ship/estimates.md ship/$c.md; done
